/* Glasses, apps and the webhook endpoint of the apps, as mentra_trio's protocol wants them.

   A user is set up in steps: the glasses connect with their token and get their ack; their apps
   are started by webhook (or connect directly, to a relay without webhooks), send their init, get
   their ack, and subscribe. Then the glasses press a button "probe" until each app has seen one,
   and a button "fence" once: what an app gets after the fence is the load. */
#ifndef PEERS_H
#define PEERS_H

#include "net.h"

enum { VARIANTS = 16, DISPLAYS = 64, IN_FLIGHT_MOST = 256, APPS_MOST = 8 };

struct options {
    int port, users, apps, window, first_user, together, audio_bytes, listener, count, returning, speech;
    int check_every;
    double rate, display_rate, seconds, warm_up, most, hold;
    int pid;
    const char *mode, *tokens;
};
extern struct options options;

enum step { STARTING, ACKED, PROBED, READY };

struct app {
    struct conn *conn;
    enum step step;
    uint64_t got;
};

struct user {
    struct conn *glasses;
    bool acked, leaving, over;
    double began, probed_at;
    struct app apps[APPS_MOST];
    int apps_acked, apps_probed, apps_ready, apps_open;
    uint64_t sent, done; /* events of the load: sent, and come to every app */
    double *sent_at;     /* the last IN_FLIGHT_MOST of them */
    uint64_t displays_sent;
    double display_sent_at[DISPLAYS];
    int display_shown; /* the last that came: of several in a short time only the last one may */
};

struct counts {
    uint64_t sent, done, deliveries, displays_sent, displays_come, wrong, webhooks;
    int acked, ready, over;
};

extern struct user *users;
extern struct counts counts;

void peers_open(void);
void user_begin(int number);
bool user_ready(const struct user *u);
void probe_again(int from, int to);       /* those of these users whose apps have seen none */
size_t event_frame(uint8_t *out, uint64_t number);
bool send_event(int number);              /* false: too many are under way */
void send_display(int number);
int displays_missing(void);               /* users who do not see what was sent last */
void user_leave(int number);              /* Close from the glasses; over once all links ended */

#endif
