/* What the load cost: processor time of the server, latencies, and whether others disturbed. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct result {
    double seconds, server_cpu, own_cpu; /* of the slices that count */
    uint64_t events, deliveries;
    int slices, clean;       /* all of them, and how many of them nobody disturbed */
    double others, steal;    /* processors that others, and other machines, used, on average */
    double p50, p99, p999;   /* seconds */
};

double now(void);
double cpu_of(pid_t server);
double own_cpu(void);
long rss_kb(pid_t server);

/* Time is cut into slices of 100 ms. Enough of them that nobody disturbed, or the longest time
   that is allowed: then it is over. Where too few are clean all of them count, and it is told. */
void slices_open(pid_t server, double clean_seconds, double most_seconds);
bool slices_done(uint64_t events, uint64_t deliveries); /* so many up to now */
bool measuring(void);
void latency(double seconds);
struct result slices_result(void);

#endif
