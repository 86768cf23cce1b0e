#define _GNU_SOURCE
#include "keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define CLAIMS_MOST 2048

const char *value(const void *json, size_t size, const char *key, size_t *length) {
    const char *end = (const char *)json + size, *at = memmem(json, size, key, strlen(key));
    if (!at) return NULL;
    at += strlen(key);
    while (at < end && (*at == ':' || *at == ' ' || *at == '"')) at++;
    const char *last = memchr(at, '"', end - at);
    if (!last) return NULL;
    *length = last - at;
    return at;
}

static int base64url(const char *text, size_t size, uint8_t *out) {
    char whole[CLAIMS_MOST];
    if (size + 4 > sizeof whole) return 0;
    for (size_t i = 0; i < size; i++)
        whole[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    size_t padded = size;
    while (padded % 4) whole[padded++] = '=';
    int length = EVP_DecodeBlock(out, (uint8_t *)whole, padded);
    return length < 0 ? 0 : length - (int)(padded - size);
}

bool user_of(const char *token, const char *secret, char *user, size_t room) {
    size_t size = strcspn(token, "\r"), length;
    const char *last = memrchr(token, '.', size), *first = memchr(token, '.', size);
    uint8_t right[EVP_MAX_MD_SIZE], given[64], claims[CLAIMS_MOST];
    unsigned int right_size;
    if (!last || first == last) return false;
    size_t given_chars = token + size - last - 1;
    if (given_chars != 43) return false;
    HMAC(EVP_sha256(), secret, strlen(secret), (const uint8_t *)token, last - token, right,
         &right_size);
    if (base64url(last + 1, given_chars, given) != 32 || CRYPTO_memcmp(right, given, 32))
        return false;
    int claims_size = base64url(first + 1, last - first - 1, claims);
    const char *email = value(claims, claims_size, "\"email\"", &length);
    if (!email || length >= room) return false;
    memcpy(user, email, length);
    user[length] = 0;
    return true;
}

bool right_key(const char *key, size_t size, const char *hash) {
    uint8_t digest[32];
    char hex[65];
    SHA256((const uint8_t *)key, size, digest);
    for (int i = 0; i < 32; i++) sprintf(hex + 2 * i, "%02x", digest[i]);
    return !strcmp(hex, hash);
}

void accept_key(const char *key, char *out) {
    char both[128];
    uint8_t digest[20];
    int size = snprintf(both, sizeof both, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                        (int)strcspn(key, "\r"), key);
    SHA1((uint8_t *)both, size, digest);
    EVP_EncodeBlock((uint8_t *)out, digest, 20);
}

