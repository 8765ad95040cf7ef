#include "ctl/actor.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>


const char *
actor_name(void)
{
    static char name[256];

    if (name[0] == '\0') {
        const struct passwd *user = getpwuid(getuid());

        if (user != NULL) {
            snprintf(name, sizeof(name), "%s", user->pw_name);
        } else {
            snprintf(name, sizeof(name), "uid %lu", (unsigned long) getuid());
        }
    }

    return name;
}
