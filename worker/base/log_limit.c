#include "base/log_limit.h"


int
log_limit_pass(struct log_limit *limit, uint64_t now_ms, uint64_t *left_out)
{
    if (now_ms < limit->next_ms) {
        limit->left_out++;
        return 0;
    }

    *left_out = limit->left_out;
    *limit = (struct log_limit) { .next_ms = now_ms + LOG_LIMIT_MS };
    return 1;
}


int
log_limit_rest(struct log_limit *limit, uint64_t now_ms, uint64_t *left_out)
{
    return limit->left_out > 0 && now_ms >= limit->next_ms && log_limit_pass(limit, now_ms, left_out);
}
