/* Tokens, keys and the few JSON values that the floor reads. */
#ifndef KEYS_H
#define KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of ``key`` in a flat JSON object, and its size; NULL: there is none. */
const char *value(const void *json, size_t size, const char *key, size_t *length);
/* Whether ``token`` (up to the end of its line) is signed with ``secret``: HS256; and whose. */
bool user_of(const char *token, const char *secret, char *user, size_t room);
bool right_key(const char *key, size_t size, const char *hash);
/* RFC 6455 4.2.2: the answer to ``key`` (up to the end of its line); 29 bytes. */
void accept_key(const char *key, char *out);

#endif
