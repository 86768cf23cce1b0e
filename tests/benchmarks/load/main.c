/* The load of the benchmarks: one thread that is all glasses, all apps and their endpoint.

   It prints one JSON object. What the server does wrong ends it with a word and exit code 2. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "measure.h"
#include "peers.h"

#define SET_UP_MOST 60.0
#define SET_UP_EACH_MOST 0.02
#define SETTLE 0.4
#define DRAIN_MOST 3.0
#define QUIET 0.2

struct options options = {.users = 1, .apps = 1, .window = 64, .together = 32, .listener = -1,
                          .check_every = 61, .seconds = 1, .warm_up = 1, .most = 4, .hold = 11,
                          .count = 0, .mode = "closed"};
static uint64_t held_back;
static double set_up_seconds, set_up_cpu;

static void read_options(int argc, char **argv) {
    struct { const char *name; int *whole; double *real; const char **text; } known[] = {
        {"--port", .whole = &options.port}, {"--pid", .whole = &options.pid},
        {"--users", .whole = &options.users}, {"--apps", .whole = &options.apps},
        {"--window", .whole = &options.window}, {"--first-user", .whole = &options.first_user},
        {"--together", .whole = &options.together}, {"--audio", .whole = &options.audio_bytes},
        {"--listener", .whole = &options.listener}, {"--count", .whole = &options.count},
        {"--returning", .whole = &options.returning}, {"--speech", .whole = &options.speech},
        {"--check-every", .whole = &options.check_every},
        {"--rate", .real = &options.rate}, {"--display-rate", .real = &options.display_rate},
        {"--seconds", .real = &options.seconds}, {"--warm-up", .real = &options.warm_up},
        {"--most", .real = &options.most}, {"--hold", .real = &options.hold},
        {"--mode", .text = &options.mode}, {"--tokens", .text = &options.tokens}};
    for (int i = 1; i + 1 < argc; i += 2) {
        size_t k = 0, number = sizeof known / sizeof *known;
        while (k < number && strcmp(known[k].name, argv[i])) k++;
        if (k == number) fail("no such option: %s", argv[i]);
        if (known[k].whole) *known[k].whole = atoi(argv[i + 1]);
        if (known[k].real) *known[k].real = atof(argv[i + 1]);
        if (known[k].text) *known[k].text = argv[i + 1];
    }
    if (options.apps > APPS_MOST) fail("at most %d apps", APPS_MOST);
    if (options.window > IN_FLIGHT_MOST) fail("a window of at most %d", IN_FLIGHT_MOST);
}

static void pump(double seconds) {
    double end = now() + seconds, left;
    while ((left = end - now()) > 0) net_turn(left < 0.05 ? left : 0.05);
}

/* Everybody is there, and what is sent reaches every app. */
static void set_up(void) {
    double began = now(), most = SET_UP_MOST + options.users * SET_UP_EACH_MOST, asked = began;
    double cpu = cpu_of(options.pid);
    int begun = 0, all_ready_to = 0;
    while (counts.ready < options.users) {
        while (begun < options.users && begun - counts.ready < options.together) user_begin(begun++);
        net_turn(0.02);
        while (all_ready_to < begun && user_ready(&users[all_ready_to])) all_ready_to++;
        if (now() - asked > 0.02) {
            asked = now();
            probe_again(all_ready_to, begun);
        }
        if (now() - began > most)
            fail("only %d of %d users are ready (%d acked)", counts.ready, options.users,
                 counts.acked);
    }
    set_up_seconds = now() - began;
    set_up_cpu = cpu_of(options.pid) - cpu;
}

static bool window_open(double *until, double warm_up) {
    if (!*until) *until = now() + warm_up;
    return now() >= *until;
}

static void closed_loop(void) {
    static uint8_t burst[1 << 20];
    double warm = 0;
    slices_open(options.pid, options.seconds, options.most);
    while (!window_open(&warm, options.warm_up) ||
           !slices_done(counts.done, counts.deliveries)) {
        for (int i = 0; i < options.users; i++) {
            struct user *u = &users[i];
            size_t size = 0;
            double t = now();
            while (u->sent - u->done < (uint64_t)options.window) {
                size += event_frame(burst + size, u->sent);
                u->sent_at[u->sent++ % IN_FLIGHT_MOST] = t;
                counts.sent++;
            }
            if (size) net_send(u->glasses, burst, size);
        }
        net_turn(0.01);
    }
}

struct turn { double phase; int user; };

static int by_phase(const void *a, const void *b) {
    double x = ((const struct turn *)a)->phase, y = ((const struct turn *)b)->phase;
    return (x > y) - (x < y);
}

/* Every user sends at the same pace, each with a phase of its own. */
struct schedule { struct turn *turns; double began, period; uint64_t next; };

static struct schedule schedule_of(double rate) {
    struct schedule s = {.began = now(), .period = rate > 0 ? 1 / rate : 0};
    s.turns = calloc(options.users, sizeof *s.turns);
    for (int i = 0; i < options.users; i++)
        s.turns[i] = (struct turn){.phase = s.period * rand() / RAND_MAX, .user = i};
    qsort(s.turns, options.users, sizeof *s.turns, by_phase);
    return s;
}

static double due(const struct schedule *s) {
    if (!s->period) return s->began + 1e9;
    uint64_t users_number = options.users;
    return s->began + s->turns[s->next % users_number].phase +
           (double)(s->next / users_number) * s->period;
}

static int take_turn(struct schedule *s) { return s->turns[s->next++ % options.users].user; }

static void paced(void) {
    struct schedule events = schedule_of(options.rate), shown = schedule_of(options.display_rate);
    double warm = 0;
    slices_open(options.pid, options.seconds, options.most);
    while (!window_open(&warm, options.warm_up) ||
           !slices_done(counts.done + counts.displays_come,
                        counts.deliveries + counts.displays_come)) {
        double t = now();
        while (due(&events) <= t) held_back += !send_event(take_turn(&events));
        while (due(&shown) <= t) send_display(take_turn(&shown));
        double next = due(&events) < due(&shown) ? due(&events) : due(&shown);
        double wait = next - now();
        net_turn(wait < 0.05 ? wait : 0.05);
    }
    free(events.turns);
    free(shown.turns);
}

/* What was sent comes, if the server gets the time for it. */
static uint64_t drain(void) {
    double end = now() + DRAIN_MOST;
    while ((counts.deliveries < counts.sent * options.apps || displays_missing()) && now() < end)
        net_turn(0.01);
    return counts.sent * options.apps - counts.deliveries;
}

static void print_result(uint64_t backlog, uint64_t missing, int connections) {
    struct result r = slices_result();
    double events = r.events ? (double)r.events : 1, per = r.seconds > 0 ? r.seconds : 1;
    printf("{\"us_per_event\":%.3f,\"events_per_s\":%.1f,\"deliveries_per_s\":%.1f,"
           "\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"server_share\":%.4f,"
           "\"load_share\":%.4f,\"seconds\":%.3f,\"slices\":%d,\"clean\":%d,\"others\":%.3f,"
           "\"steal\":%.3f,\"wrong\":%lu,\"missing\":%lu,\"held_back\":%lu,\"backlog\":%lu,"
           "\"sent\":%lu,\"displays_sent\":%lu,\"displays_come\":%lu,\"displays_missing\":%d,\"connections\":%d,"
           "\"rss_kb\":%ld,\"set_up_s\":%.3f}\n",
           r.server_cpu / events * 1e6, r.events / per, r.deliveries / per, r.p50 * 1e6,
           r.p99 * 1e6, r.p999 * 1e6, r.server_cpu / per, r.own_cpu / per, r.seconds, r.slices,
           r.clean, r.others, r.steal, counts.wrong, missing, held_back, backlog, counts.sent,
           counts.displays_sent, counts.displays_come, displays_missing(), connections,
           rss_kb(options.pid), set_up_seconds);
}

static void relay(void) {
    set_up();
    for (int i = 0; i < options.users; i++)
        users[i].sent_at = calloc(IN_FLIGHT_MOST, sizeof(double));
    pump(SETTLE);
    if (options.rate > 0) paced();
    else closed_loop();
    uint64_t backlog = counts.sent - counts.done;
    print_result(backlog, drain(), options.users * (1 + options.apps));
}

static void idle(void) {
    long before = rss_kb(options.pid);
    set_up();
    pump(SETTLE);
    long opened = rss_kb(options.pid);
    uint64_t pings = pings_answered;
    double cpu = cpu_of(options.pid);
    pump(options.hold);
    cpu = cpu_of(options.pid) - cpu;
    pings = pings_answered - pings;
    int connections = options.users * (1 + options.apps);
    long after = rss_kb(options.pid);
    printf("{\"users\":%d,\"connections\":%d,\"rss_before_kb\":%ld,\"rss_opened_kb\":%ld,"
           "\"rss_kb\":%ld,\"kb_per_connection\":%.3f,\"pings\":%lu,\"us_per_ping\":%.2f,"
           "\"idle_share\":%.4f,\"set_up_s\":%.3f,\"set_up_cpu_us\":%.1f,\"wrong\":%lu,"
           "\"missing\":0}\n",
           options.users, connections, before, opened, after,
           (double)(after - before) / connections, pings, pings ? cpu / pings * 1e6 : 0,
           cpu / options.hold, set_up_seconds, set_up_cpu / options.users * 1e6, counts.wrong);
}

/* Until the server does nothing any more: what it does after a link has ended counts, too. */
static double until_quiet(void) {
    double began = now(), cpu = cpu_of(options.pid), last = began;
    for (;;) {
        pump(QUIET);
        double used = cpu_of(options.pid);
        if (used - cpu < 0.01 * QUIET || now() - began > 10) return last;
        cpu = used;
        last = now();
    }
}

/* Users come, get their ack (and their apps), and go; so many at a time. */
static int come_and_go(void) {
    int next = 0, begun = 0, *slots = malloc(options.together * sizeof *slots);
    double warm = 0;
    memset(slots, -1, options.together * sizeof *slots);
    if (!options.count) slices_open(options.pid, options.seconds, options.most);
    for (;;) {
        if (options.count ? counts.over >= options.count
                          : window_open(&warm, options.warm_up) &&
                                slices_done(counts.over, counts.over))
            break;
        for (int i = 0; i < options.together; i++) {
            struct user *u = slots[i] < 0 ? NULL : &users[slots[i]];
            if (u && now() - u->began > 10) fail("user %d did not come to its end", slots[i]);
            if (u && !u->leaving && user_ready(u)) {
                latency(now() - u->began);
                user_leave(slots[i]);
            }
            if (u && !u->over) continue;
            slots[i] = -1;
            if (options.count && begun == options.count) continue;
            if (next == options.users && options.returning) next = 0;
            if (next == options.users || (users[next].glasses && !users[next].over)) continue;
            begun++;
            user_begin(slots[i] = next++);
        }
        if (next == options.users && !options.returning && counts.over == next) break;
        net_turn(0.002);
        if (options.apps) probe_again(0, next);
    }
    free(slots);
    return counts.over;
}

static void sessions(void) {
    double began = now(), cpu = cpu_of(options.pid);
    int number = come_and_go();
    double links = now() - began, end = until_quiet();
    cpu = cpu_of(options.pid) - cpu;
    printf("{\"sessions\":%d,\"wall_s\":%.3f,\"links_s\":%.3f,\"cpu_s\":%.3f,\"us_per_event\":%.2f,"
           "\"rss_kb\":%ld,\"wrong\":%lu,\"missing\":%d}\n",
           number, end - began > links ? end - began : links, links, cpu, cpu / number * 1e6,
           rss_kb(options.pid), counts.wrong, options.count - number);
}

static void allow_many_files(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    allow_many_files();
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    srand(12345);
    net_open(options.listener);
    peers_open();
    if (!strcmp(options.mode, "relay")) {
        relay();
    } else if (!strcmp(options.mode, "idle")) {
        idle();
    } else if (!strcmp(options.mode, "setup")) {
        come_and_go();
        print_result(0, 0, 0);
    } else if (!strcmp(options.mode, "sessions")) {
        sessions();
    } else {
        fail("no such mode: %s", options.mode);
    }
    return 0;
}
