/* The floor: as little as a relay can do and still keep the protocol. One thread, epoll, whole
   reads, bodies passed on as they came, and what one turn has for a link in one send.

   It checks tokens and keys and keeps subscriptions, but trusts its peers to be well behaved: no
   limits, no fragments, no validation. It is a measure, not a server. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "keys.h"

#define APPS_MOST 8
#define BUCKETS (1 << 16)
#define READ_MOST (1 << 18)
#define HEAD_ROOM 16

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum streams { BUTTONS = 1, SPEECH = 2, SOUND = 4 };

struct session {
    char *user;
    struct conn *glasses, *apps[APPS_MOST];
    int apps_number;
    struct session *next;
};

struct conn {
    int fd, streams;
    bool open, closing, is_glasses, silent;
    struct session *session;
    char *name; /* the session id of an app */
    uint8_t *in, *out;
    size_t in_len, in_room, out_len, out_room;
    bool dirty;
    struct conn *next_dirty, *next, *before;
};

static struct session *buckets[BUCKETS];
static struct conn *dirty, all = {.next = &all, .before = &all};
static int loop;
static const char *secret, *key_hash;
static uint8_t made[READ_MOST * 2];

static struct session *session_of(const char *user, size_t size, bool make) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ (uint8_t)user[i]) * 16777619u;
    struct session **bucket = &buckets[hash % BUCKETS];
    for (struct session *s = *bucket; s; s = s->next)
        if (!strncmp(s->user, user, size) && !s->user[size]) return s;
    if (!make) return NULL;
    struct session *s = calloc(1, sizeof *s);
    s->user = strndup(user, size);
    s->next = *bucket;
    return *bucket = s;
}

static void append(uint8_t **data, size_t *len, size_t *room, const void *more, size_t size) {
    if (*len + size > *room) {
        *room = (*len + size) * 2;
        *data = realloc(*data, *room);
    }
    memcpy(*data + *len, more, size);
    *len += size;
}

static void push(struct conn *c, const void *data, size_t size) {
    append(&c->out, &c->out_len, &c->out_room, data, size);
    if (c->dirty) return;
    c->dirty = true;
    c->next_dirty = dirty;
    dirty = c;
}

static size_t head_of(uint8_t *out, int opcode, size_t size) {
    out[0] = 0x80 | opcode;
    if (size < 126) {
        out[1] = size;
        return 2;
    }
    if (size < 65536) {
        out[1] = 126;
        out[2] = size >> 8;
        out[3] = size;
        return 4;
    }
    out[1] = 127;
    for (int i = 0; i < 8; i++) out[2 + i] = (uint64_t)size >> (56 - 8 * i);
    return 10;
}

static void push_frame(struct conn *c, int opcode, const void *payload, size_t size) {
    uint8_t head[HEAD_ROOM];
    push(c, head, head_of(head, opcode, size));
    push(c, payload, size);
}

static void push_text(struct conn *c, const char *text) { push_frame(c, TEXT, text, strlen(text)); }

static void drop(struct conn *c) {
    struct session *s = c->session;
    for (struct conn **at = &dirty; *at; at = &(*at)->next_dirty)
        if (*at == c) {
            *at = c->next_dirty;
            break;
        }
    if (s && s->glasses == c) s->glasses = NULL;
    for (int i = 0; s && i < s->apps_number; i++)
        if (s->apps[i] == c) s->apps[i] = s->apps[--s->apps_number];
    c->before->next = c->next;
    c->next->before = c->before;
    close(c->fd);
    free(c->name);
    free(c->in);
    free(c->out);
    free(c);
}

static void flush(void) {
    struct conn *c = dirty, *next;
    dirty = NULL;
    for (; c; c = next) {
        next = c->next_dirty;
        c->dirty = false;
        ssize_t taken = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (taken < 0 && errno != EAGAIN) taken = c->out_len; /* its end is read */
        if (taken < 0) taken = 0;
        c->out_len -= taken;
        memmove(c->out, c->out + taken, c->out_len);
        if (c->out_len) { /* again in the next turn, which is at most a second away */
            c->dirty = true;
            c->next_dirty = dirty;
            dirty = c;
        }
    }
}

static bool admit_glasses(struct conn *c, const char *token) {
    char user[256];
    if (!user_of(token, secret, user, sizeof user)) return false;
    c->session = session_of(user, strlen(user), true);
    c->session->glasses = c;
    return true;
}

static size_t upgrade(struct conn *c, uint8_t *data, size_t size) {
    uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    char accept[64], answer[256], ack[512];
    if (!end) return 0;
    *end = 0;
    char *key = strcasestr((char *)data, "Sec-WebSocket-Key: ");
    char *token = strcasestr((char *)data, "Authorization: Bearer ");
    c->is_glasses = !strncmp((char *)data, "GET /glasses-ws ", 16);
    *end = '\r';
    if (!key || (c->is_glasses && (!token || !admit_glasses(c, token + 22)))) {
        push(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 48);
        c->closing = true;
        return size;
    }
    accept_key(key + 19, accept);
    push(c, answer, snprintf(answer, sizeof answer,
                             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept));
    c->open = true;
    if (c->is_glasses) {
        snprintf(ack, sizeof ack, "{\"type\":\"connection_ack\",\"sessionId\":\"%s\"}",
                 c->session->user);
        push_text(c, ack);
    }
    return end - data + 4;
}

static void init(struct conn *c, const uint8_t *text, size_t size) {
    size_t package_size, id_size, key_size;
    const char *package = value(text, size, "\"packageName\"", &package_size);
    const char *id = value(text, size, "\"sessionId\"", &id_size);
    const char *key = value(text, size, "\"apiKey\"", &key_size);
    if (package && id && key && id_size > package_size) {
        struct session *s = session_of(id, id_size - package_size - 1, false);
        if (right_key(key, key_size, key_hash) && s && s->apps_number < APPS_MOST) {
            c->session = s;
            c->name = strndup(id, id_size);
            s->apps[s->apps_number++] = c;
            push_text(c, "{\"type\":\"tpa_connection_ack\",\"settings\":[]}");
            return;
        }
    }
    push_text(c, "{\"type\":\"tpa_connection_error\"}");
    c->closing = true;
}

static size_t timestamp(char *out) {
    static time_t second = -1;
    static char head[40];
    struct timespec t;
    struct tm when;
    clock_gettime(CLOCK_REALTIME, &t);
    if (t.tv_sec != second) {
        second = t.tv_sec;
        gmtime_r(&second, &when);
        strftime(head, sizeof head, ",\"timestamp\":\"%Y-%m-%dT%H:%M:%S.", &when);
    }
    return sprintf(out, "%s%03dZ\"}", head, (int)(t.tv_nsec / 1000000) % 1000);
}

static void from_glasses(struct session *s, const uint8_t *text, size_t size) {
    size_t type_size;
    char head[512], tail[64];
    const char *type = value(text, size < 64 ? size : 64, "\"type\"", &type_size);
    if (!type) return;
    bool speech = *type == 't';
    size_t tail_size = timestamp(tail);
    for (int i = 0; i < s->apps_number; i++) {
        struct conn *app = s->apps[i];
        if (!(app->streams & (speech ? SPEECH : BUTTONS))) continue;
        size_t n = snprintf(head, sizeof head,
                            "{\"type\":\"data_stream\",\"sessionId\":\"%s\",\"streamType\":\"%.*s%s\","
                            "\"data\":", app->name, (int)type_size, type, speech ? ":en-US" : "");
        uint8_t frame_head[HEAD_ROOM];
        push(app, frame_head, head_of(frame_head, TEXT, n + size + tail_size));
        push(app, head, n);
        push(app, text, size);
        push(app, tail, tail_size);
    }
}

static void from_app(struct conn *c, const uint8_t *text, size_t size) {
    if (!c->session) {
        init(c, text, size);
    } else if (memmem(text, size, "\"display_event\"", 15)) {
        if (c->session->glasses) push_frame(c->session->glasses, TEXT, text, size);
    } else if (memmem(text, size, "\"subscription_update\"", 21)) {
        c->streams = (memmem(text, size, "\"button_press\"", 14) ? BUTTONS : 0) |
                     (memmem(text, size, "\"transcription:en-US\"", 21) ? SPEECH : 0) |
                     (memmem(text, size, "\"audio_chunk\"", 13) ? SOUND : 0);
    }
}

static void message(struct conn *c, int opcode, const uint8_t *payload, size_t size) {
    struct session *s = c->session;
    c->silent = false;
    if (opcode == CLOSE) {
        push_frame(c, CLOSE, payload, size);
        c->closing = true;
    } else if (opcode == PING) {
        push_frame(c, PONG, payload, size);
    } else if (opcode == BINARY && c->is_glasses) {
        size_t head = head_of(made, BINARY, size);
        memcpy(made + head, payload, size);
        for (int i = 0; i < s->apps_number; i++)
            if (s->apps[i]->streams & SOUND) push(s->apps[i], made, head + size);
    } else if (opcode == TEXT) {
        if (c->is_glasses) from_glasses(s, payload, size);
        else from_app(c, payload, size);
    }
}

static void unmask(uint8_t *data, size_t size, const uint8_t *mask) {
    uint64_t wide, eight;
    size_t i = 0;
    memcpy(&wide, mask, 4);
    memcpy((uint8_t *)&wide + 4, mask, 4);
    for (; i + 8 <= size; i += 8) {
        memcpy(&eight, data + i, 8);
        eight ^= wide;
        memcpy(data + i, &eight, 8);
    }
    for (; i < size; i++) data[i] ^= ((uint8_t *)&wide)[i & 7];
}

static size_t parse(struct conn *c, uint8_t *data, size_t size) {
    size_t used = c->open ? 0 : upgrade(c, data, size);
    while (c->open && !c->closing && size - used >= 6) {
        uint8_t *at = data + used;
        size_t length = at[1] & 127, head = 2;
        if (length == 126) {
            length = at[2] << 8 | at[3];
            head = 4;
        }
        if (size - used < head + 4 + length) break;
        unmask(at + head + 4, length, at + head);
        message(c, at[0] & 15, at + head + 4, length);
        used += head + 4 + length;
    }
    return used;
}

static bool receive(struct conn *c) {
    static uint8_t arrived[READ_MOST];
    ssize_t size = recv(c->fd, arrived, sizeof arrived, 0);
    if (size < 0 && errno == EAGAIN) return true;
    if (size <= 0) return false;
    uint8_t *data = arrived;
    size_t whole = size;
    if (c->in_len) {
        append(&c->in, &c->in_len, &c->in_room, arrived, size);
        data = c->in;
        whole = c->in_len;
    }
    size_t used = parse(c, data, whole), rest = whole - used;
    if (data == c->in) memmove(c->in, c->in + used, c->in_len = rest);
    else if (rest) append(&c->in, &c->in_len, &c->in_room, arrived + used, rest);
    return true;
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        *c = (struct conn){.fd = fd, .next = all.next, .before = &all};
        all.next->before = c;
        all.next = c;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
    }
}

static void ping_all(void) {
    for (struct conn *c = all.next, *next; c != &all; c = next) {
        next = c->next;
        if (c->silent) drop(c);
        else if (c->open) push_frame(c, PING, "", 0);
        c->silent = true;
    }
}

static int listen_on_any_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (void *)&at, size) || listen(listener, 1024)) exit(1);
    getsockname(listener, (void *)&at, &size);
    printf("ready on http://127.0.0.1:%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return listener;
}

static void turn(int listener) {
    static struct epoll_event events[256];
    int ready = epoll_wait(loop, events, 256, 1000);
    for (int i = 0; i < ready; i++) {
        struct conn *c = events[i].data.ptr;
        if (!c) {
            accept_all(listener);
            continue;
        }
        bool alive = receive(c);
        flush();
        if (!alive || c->closing) drop(c);
    }
    flush();
}

int main(void) {
    struct rlimit files;
    struct epoll_event event = {.events = EPOLLIN};
    const char *heartbeat = getenv("HEARTBEAT_S");
    time_t period = heartbeat ? atoi(heartbeat) : 10, pinged = time(NULL);
    secret = getenv("RELAY_SECRET");
    key_hash = getenv("RELAY_KEY_HASH");
    if (!secret || !key_hash) return 1;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    loop = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on_any_port();
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        turn(listener);
        if (time(NULL) - pinged < period) continue;
        pinged = time(NULL);
        ping_all();
    }
}
