/*
 * Ids of products in arrays of uint64_t. Pure.
 */
#ifndef CHECKOUT_WORKER_BASE_IDS_H
#define CHECKOUT_WORKER_BASE_IDS_H

/* For qsort(3) and bsearch(3): a and b point to two ids. Returns -1, 0 or 1, as the first is less, equal or greater. */
int ids_compare(const void *a, const void *b);

#endif
