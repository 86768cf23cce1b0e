/* Connections of the load, one loop for all of them, and as much of RFC 6455 as a client needs. */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opcode { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum role { GLASSES, APP, WEBHOOK };
enum stage { CONNECTING, SHAKING, OPEN, GONE };

struct conn {
    int fd;
    enum role role;
    enum stage stage;
    int user, app;
    char *path;       /* what an app asks for; NULL: /app-ws */
    uint8_t *in;      /* what has come of a message that is not whole yet; NULL while idle */
    size_t in_len;
    uint8_t *out;     /* what the kernel did not take yet; NULL while idle */
    size_t out_len;
    struct conn *next_gone;
};

/* What peers.c does when something happens. */
void on_connected(struct conn *c);
void on_upgraded(struct conn *c);
void on_message(struct conn *c, enum opcode opcode, const uint8_t *payload, size_t size);
size_t on_request(struct conn *c, const char *data, size_t size); /* bytes that were used */
void on_end(struct conn *c);

extern uint64_t pings_answered;

void net_open(int listener); /* listener: a socket that listens for webhooks, or -1 */
struct conn *net_connect(int port, enum role role, int user, int app, char *path);
void net_send(struct conn *c, const void *data, size_t size);
void net_text(struct conn *c, const char *text);
void net_close(struct conn *c); /* send a Close frame; the end comes from the server */
void net_drop(struct conn *c);
void net_turn(double seconds);  /* wait at most so long, then serve what is ready */
size_t frame(uint8_t *out, enum opcode opcode, const void *payload, size_t size);
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
