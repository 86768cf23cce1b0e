#define _GNU_SOURCE
#include "peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "measure.h"

#define PROBE_EVERY 0.1
#define PACKAGE "com.bench.app%d"
#define USER "u%d@bench.org"
#define FRAME_MOST 4096
#define TYPE_WITHIN 48 /* every contestant begins its messages with their type */

struct user *users;
struct counts counts;
static char **tokens;
static int tokens_count;
static uint8_t events[VARIANTS][FRAME_MOST], displays[DISPLAYS][FRAME_MOST];
static size_t event_sizes[VARIANTS], display_sizes[DISPLAYS];
static char event_marks[VARIANTS][64];

static bool has(const uint8_t *payload, size_t size, const char *text) {
    return memmem(payload, size, text, strlen(text)) != NULL;
}

static bool is(const uint8_t *payload, size_t size, const char *type) {
    return has(payload, size < TYPE_WITHIN ? size : TYPE_WITHIN, type);
}

static void read_tokens(void) {
    FILE *file = fopen(options.tokens, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    if (!file) fail("cannot read %s", options.tokens);
    while ((size = getline(&line, &room, file)) > 0) {
        line[strcspn(line, "\n")] = 0;
        tokens = realloc(tokens, (tokens_count + 1) * sizeof *tokens);
        tokens[tokens_count++] = strdup(line);
    }
    free(line);
    fclose(file);
}

static bool speech(int variant) { return variant & 1 && options.speech; }

static void make_event(int variant) {
    char text[1024];
    uint8_t sound[FRAME_MOST];
    const char *when = "2026-01-01T12:00:00.000Z";
    if (options.audio_bytes) {
        memset(sound, variant, sizeof sound);
        event_sizes[variant] = frame(events[variant], BINARY, sound, options.audio_bytes);
        return;
    }
    if (speech(variant)) {
        snprintf(event_marks[variant], 64, "fox number %d jumps", variant);
        snprintf(text, sizeof text,
                 "{\"type\":\"transcription\",\"text\":\"so the quick brown %s over the lazy dog "
                 "again\",\"isFinal\":false,\"startTime\":%d,\"endTime\":%d,\"speakerId\":\"1\","
                 "\"transcribeLanguage\":\"en-US\",\"provider\":\"phone\",\"confidence\":0.97,"
                 "\"timestamp\":\"%s\"}",
                 event_marks[variant], variant * 1000, variant * 1000 + 900, when);
    } else {
        snprintf(event_marks[variant], 64, "\"button-%d\"", variant);
        snprintf(text, sizeof text,
                 "{\"type\":\"button_press\",\"buttonId\":%s,\"pressType\":\"short\","
                 "\"timestamp\":\"%s\"}",
                 event_marks[variant], when);
    }
    event_sizes[variant] = frame(events[variant], TEXT, text, strlen(text));
}

static void make_display(int number) {
    char text[1024];
    snprintf(text, sizeof text,
             "{\"type\":\"display_event\",\"packageName\":\"" PACKAGE "\",\"sessionId\":\"\","
             "\"view\":\"main\",\"layout\":{\"layoutType\":\"text_wall\",\"text\":\"display number "
             "%d of the quick brown fox\"},\"timestamp\":\"2026-01-01T12:00:00.000Z\"}",
             0, number);
    display_sizes[number] = frame(displays[number], TEXT, text, strlen(text));
}

void peers_open(void) {
    read_tokens();
    if (options.audio_bytes + 16 > FRAME_MOST) fail("at most %d bytes of audio", FRAME_MOST - 16);
    for (int i = 0; i < VARIANTS; i++) make_event(i);
    for (int i = 0; i < DISPLAYS; i++) make_display(i);
    users = calloc(options.users, sizeof *users);
}

static int name_of(int number) { return options.first_user + number; }

void user_begin(int number) {
    struct user *u = &users[number];
    double *sent_at = u->sent_at;
    if (name_of(number) >= tokens_count) fail("only %d tokens", tokens_count);
    *u = (struct user){.began = now(), .sent_at = sent_at, .display_shown = -1};
    u->glasses = net_connect(options.port, GLASSES, number, -1, NULL);
}

bool user_ready(const struct user *u) { return u->acked && u->apps_ready == options.apps; }

static void press(struct user *u, const char *button) {
    char text[256];
    snprintf(text, sizeof text,
             "{\"type\":\"button_press\",\"buttonId\":\"%s\",\"pressType\":\"short\"}", button);
    net_text(u->glasses, text);
}

static void probe(struct user *u) {
    u->probed_at = now();
    press(u, "probe");
}

void probe_again(int from, int to) {
    double t = now();
    for (int i = from; i < to; i++) {
        struct user *u = &users[i];
        bool waits = options.apps && u->apps_acked == options.apps;
        if (waits && u->apps_probed < options.apps && t - u->probed_at > PROBE_EVERY) probe(u);
    }
}

size_t event_frame(uint8_t *out, uint64_t number) {
    memcpy(out, events[number % VARIANTS], event_sizes[number % VARIANTS]);
    return event_sizes[number % VARIANTS];
}

bool send_event(int number) {
    struct user *u = &users[number];
    if (u->sent - u->done >= IN_FLIGHT_MOST) return false;
    u->sent_at[u->sent % IN_FLIGHT_MOST] = now();
    net_send(u->glasses, events[u->sent % VARIANTS], event_sizes[u->sent % VARIANTS]);
    u->sent++;
    counts.sent++;
    return true;
}

void send_display(int number) {
    struct user *u = &users[number];
    int display = u->displays_sent++ % DISPLAYS;
    u->display_sent_at[display] = now();
    net_send(u->apps[0].conn, displays[display], display_sizes[display]);
    counts.displays_sent++;
}

int displays_missing(void) {
    int missing = 0;
    for (int i = 0; i < options.users; i++) {
        struct user *u = &users[i];
        if (u->displays_sent)
            missing += u->display_shown != (int)((u->displays_sent - 1) % DISPLAYS);
    }
    return missing;
}

void user_leave(int number) {
    users[number].leaving = true;
    net_close(users[number].glasses);
}

void on_connected(struct conn *c) {
    char text[2048];
    int size = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n",
                        c->role == GLASSES ? "/glasses-ws" : c->path ? c->path : "/app-ws",
                        options.port);
    if (c->role == GLASSES)
        size += snprintf(text + size, sizeof text - size, "Authorization: Bearer %s\r\n",
                         tokens[name_of(c->user)]);
    size += snprintf(text + size, sizeof text - size,
                     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    net_send(c, text, size);
}

void on_upgraded(struct conn *c) {
    char text[512];
    if (c->role != APP) return;
    users[c->user].apps[c->app].conn = c;
    users[c->user].apps_open++;
    snprintf(text, sizeof text,
             "{\"type\":\"tpa_connection_init\",\"packageName\":\"" PACKAGE "\",\"sessionId\":\"" USER
             "-" PACKAGE "\",\"apiKey\":\"key\"}",
             c->app, name_of(c->user), c->app);
    net_text(c, text);
}

static void start_apps(struct user *u, int number) {
    char text[128];
    for (int i = 0; i < options.apps; i++) {
        if (options.listener < 0) {
            net_connect(options.port, APP, number, i, NULL);
            continue;
        }
        snprintf(text, sizeof text, "{\"type\":\"start_app\",\"packageName\":\"" PACKAGE "\"}", i);
        net_text(u->glasses, text);
    }
}

static void display_came(struct user *u, const uint8_t *payload, size_t size) {
    static const char mark[] = "display number ";
    const uint8_t *found = memmem(payload, size, mark, sizeof mark - 1);
    if (!found) return; /* the boot screen, or one that was cleared */
    int number = atoi((const char *)found + sizeof mark - 1);
    if (number < 0 || number >= DISPLAYS || !has(payload, size, "\"text_wall\"")) {
        counts.wrong++;
        return;
    }
    latency(now() - u->display_sent_at[number]);
    counts.displays_come++;
    u->display_shown = number;
}

static void glasses_message(struct conn *c, const uint8_t *payload, size_t size) {
    struct user *u = &users[c->user];
    if (is(payload, size, "\"display_event\"")) {
        display_came(u, payload, size);
    } else if (!u->acked && is(payload, size, "\"connection_ack\"")) {
        u->acked = true;
        counts.acked++;
        if (!options.apps) counts.ready++;
        start_apps(u, c->user);
    }
}

static void app_acked(struct user *u, struct conn *c) {
    u->apps[c->app].step = ACKED;
    const char *more = options.audio_bytes ? ",\"audio_chunk\""
                       : options.speech    ? ",\"transcription:en-US\""
                                           : "";
    char text[256];
    snprintf(text, sizeof text,
             "{\"type\":\"subscription_update\",\"subscriptions\":[\"button_press\"%s]}", more);
    net_text(c, text);
    if (++u->apps_acked == options.apps) probe(u);
}

static void before_the_load(struct user *u, struct app *a, const uint8_t *payload, size_t size) {
    if (a->step == ACKED && has(payload, size, "\"probe\"")) {
        a->step = PROBED;
        if (++u->apps_probed == options.apps) press(u, "fence");
    } else if (a->step == PROBED && has(payload, size, "\"fence\"")) {
        a->step = READY;
        if (++u->apps_ready == options.apps) counts.ready++;
    }
}

static bool right_event(struct conn *c, const uint8_t *payload, size_t size, uint64_t number) {
    char session[128];
    int variant = number % VARIANTS;
    snprintf(session, sizeof session, "\"sessionId\":\"" USER "-" PACKAGE "\"", name_of(c->user),
             c->app);
    return has(payload, size, session) && has(payload, size, event_marks[variant]) &&
           has(payload, size, "\"timestamp\":\"2") &&
           has(payload, size, speech(variant) ? "\"streamType\":\"transcription:en-US\""
                                              : "\"streamType\":\"button_press\"");
}

static bool right_sound(const uint8_t *payload, size_t size, uint64_t number) {
    uint8_t variant = number % VARIANTS;
    return size == (size_t)options.audio_bytes && payload[0] == variant &&
           !memcmp(payload, payload + 1, size - 1);
}

static void event_came(struct user *u, struct app *a, struct conn *c, const uint8_t *payload,
                       size_t size) {
    if (a->got == u->sent) { /* nothing is under way */
        counts.wrong++;
        return;
    }
    latency(now() - u->sent_at[a->got % IN_FLIGHT_MOST]);
    if (a->got % options.check_every == 0 &&
        !(options.audio_bytes ? right_sound(payload, size, a->got)
                              : right_event(c, payload, size, a->got)))
        counts.wrong++;
    a->got++;
    counts.deliveries++;
    uint64_t least = a->got;
    for (int i = 0; i < options.apps; i++)
        if (u->apps[i].got < least) least = u->apps[i].got;
    counts.done += least - u->done;
    u->done = least;
}

static void app_message(struct conn *c, enum opcode opcode, const uint8_t *payload, size_t size) {
    struct user *u = &users[c->user];
    struct app *a = &u->apps[c->app];
    bool event = opcode == TEXT && is(payload, size, "\"data_stream\"");
    if (a->step == STARTING) {
        if (is(payload, size, "\"tpa_connection_ack\"")) app_acked(u, c);
        if (is(payload, size, "_error\"")) fail("an app was refused: %.*s", (int)size, payload);
    } else if (a->step != READY) {
        if (event) before_the_load(u, a, payload, size);
    } else if (options.audio_bytes ? opcode == BINARY : event) {
        event_came(u, a, c, payload, size);
    }
}

void on_message(struct conn *c, enum opcode opcode, const uint8_t *payload, size_t size) {
    if (opcode == PONG || opcode == CLOSE) {
        struct user *u = &users[c->user];
        /* The answer to a Close ends the glasses; an app that is closed answers. */
        if (opcode == CLOSE && !u->leaving)
            fail("%s of user %d: closed: %d %.*s", c->role == APP ? "an app" : "glasses",
                 c->user, size < 2 ? 1005 : payload[0] << 8 | payload[1],
                 size < 2 ? 0 : (int)size - 2, payload + 2);
        if (opcode == CLOSE && c->role == APP) net_close(c);
    } else if (c->role == GLASSES) {
        glasses_message(c, payload, size);
    } else {
        app_message(c, opcode, payload, size);
    }
}

void on_end(struct conn *c) {
    if (c->role == WEBHOOK) return;
    struct user *u = &users[c->user];
    if (!u->leaving) fail("the server ended a link of user %d", c->user);
    if (c->role == GLASSES) {
        u->glasses = NULL;
    } else {
        u->apps[c->app].conn = NULL;
        u->apps_open--;
    }
    if (!u->glasses && !u->apps_open && !u->over) {
        u->over = true;
        counts.over++;
    }
}

/* The text that ``key`` has in a flat JSON object, or NULL. */
static char *text_of(const char *data, size_t size, const char *key) {
    const char *end = data + size, *at = memmem(data, size, key, strlen(key));
    if (!at) return NULL;
    at += strlen(key);
    while (at < end && (*at == '"' || *at == ':' || *at == ' ')) at++;
    const char *last = memchr(at, '"', end - at);
    return last ? strndup(at, last - at) : NULL;
}

static void start_app(const char *body, size_t size) {
    int name, app;
    char *session = text_of(body, size, "\"sessionId\"");
    char *url = text_of(body, size, "\"mentraOSWebsocketUrl\"");
    char *host = url ? strstr(url, "://") : NULL, *path = host ? strchr(host + 3, '/') : NULL;
    if (!session || !path || sscanf(session, USER "-" PACKAGE, &name, &app) != 2 ||
        name < options.first_user || name >= options.first_user + options.users)
        fail("a webhook that is not understood: %.*s", (int)size, body);
    net_connect(options.port, APP, name - options.first_user, app, strdup(path));
    free(session);
    free(url);
    counts.webhooks++;
}

size_t on_request(struct conn *c, const char *data, size_t size) {
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
        "{\"status\":\"success\"}";
    size_t used = 0;
    const char *end;
    while ((end = memmem(data + used, size - used, "\r\n\r\n", 4))) {
        size_t head = end - (data + used) + 4, length = 0;
        for (const char *line = data + used; line < end; line++)
            if (!strncasecmp(line, "\ncontent-length:", 16)) length = strtoul(line + 16, NULL, 10);
        if (size - used < head + length) break;
        net_send(c, answer, sizeof answer - 1);
        const char *body = data + used + head;
        if (memmem(body, length, "session_request", 15)) start_app(body, length);
        used += head + length;
    }
    return used;
}
