#define _GNU_SOURCE
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SLICE 0.1
#define SLICES_MOST 4096
#define SAMPLES_MOST (1 << 23)
#define CLEAN_LEAST 4
/* Of one slice: a tick of /proc/stat is 10 ms, so less than this is not seen. */
#define STEAL_MOST 0.005
#define OTHERS_MOST 0.025

struct moment {
    double time, server, own, busy, steal;
    uint64_t events, deliveries;
    size_t samples;
};

static struct moment moments[SLICES_MOST + 1];
static int count = -1;
static pid_t watched;
static double clean_wanted, time_most, clean_time;
static float *samples;
static size_t samples_count;

static double seconds_of(clockid_t clock) {
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

double now(void) { return seconds_of(CLOCK_MONOTONIC); }

double own_cpu(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

double cpu_of(pid_t server) {
    clockid_t clock;
    return clock_getcpuclockid(server, &clock) ? 0 : seconds_of(clock);
}

long rss_kb(pid_t server) {
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", server);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    if (fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void whole_machine(double *busy, double *steal) {
    unsigned long v[8] = {0};
    double ticks = sysconf(_SC_CLK_TCK);
    FILE *file = fopen("/proc/stat", "r");
    if (!file) return;
    if (fscanf(file, "cpu %lu %lu %lu %lu %lu %lu %lu %lu", v, v + 1, v + 2, v + 3, v + 4, v + 5,
               v + 6, v + 7) == 8) {
        *busy = (v[0] + v[1] + v[2] + v[5] + v[6]) / ticks;
        *steal = v[7] / ticks;
    }
    fclose(file);
}

static void take(uint64_t events, uint64_t deliveries) {
    struct moment *m = &moments[++count];
    *m = (struct moment){.time = now(), .server = cpu_of(watched), .own = own_cpu()};
    whole_machine(&m->busy, &m->steal);
    m->events = events;
    m->deliveries = deliveries;
    m->samples = samples_count;
}

static double others_in(int slice) {
    struct moment *a = &moments[slice], *b = a + 1;
    return b->busy - a->busy - (b->server - a->server) - (b->own - a->own);
}

static bool clean(int slice) {
    return moments[slice + 1].steal - moments[slice].steal < STEAL_MOST &&
           others_in(slice) < OTHERS_MOST;
}

void slices_open(pid_t server, double clean_seconds, double most_seconds) {
    watched = server;
    clean_wanted = clean_seconds;
    time_most = most_seconds;
    if (!samples) samples = malloc(SAMPLES_MOST * sizeof *samples);
}

bool measuring(void) { return count >= 0; }

bool slices_done(uint64_t events, uint64_t deliveries) {
    if (count < 0) {
        take(events, deliveries);
        return false;
    }
    if (now() - moments[count].time < SLICE) return false;
    take(events, deliveries);
    if (clean(count - 1)) clean_time += moments[count].time - moments[count - 1].time;
    return clean_time >= clean_wanted || moments[count].time - moments[0].time >= time_most ||
           count == SLICES_MOST;
}

void latency(double seconds) {
    if (count >= 0 && samples_count < SAMPLES_MOST) samples[samples_count++] = (float)seconds;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(size_t number, double part) {
    return number ? samples[(size_t)(part * (number - 1))] : 0;
}

struct result slices_result(void) {
    struct result r = {.slices = count < 0 ? 0 : count};
    size_t kept = 0;
    if (count < 1) return r;
    for (int i = 0; i < count; i++) r.clean += clean(i);
    for (int i = 0; i < count; i++) {
        struct moment *a = &moments[i], *b = a + 1;
        if (r.clean >= CLEAN_LEAST && !clean(i)) continue;
        r.seconds += b->time - a->time;
        r.server_cpu += b->server - a->server;
        r.own_cpu += b->own - a->own;
        r.events += b->events - a->events;
        r.deliveries += b->deliveries - a->deliveries;
        for (size_t s = a->samples; s < b->samples; s++) samples[kept++] = samples[s];
    }
    double all = moments[count].time - moments[0].time;
    for (int i = 0; i < count; i++) r.others += others_in(i) / all;
    r.steal = (moments[count].steal - moments[0].steal) / all;
    qsort(samples, kept, sizeof *samples, by_size);
    r.p50 = percentile(kept, .5);
    r.p99 = percentile(kept, .99);
    r.p999 = percentile(kept, .999);
    return r;
}
