/* A provider for load tests: one thread, epoll, HTTP/1.1 keep-alive, no dependencies.
 *
 * It has to be so fast that it is never the limit of what is measured, which is why it
 * is C, and why it answers from bytes that were put together at the start. It is no
 * model of a provider's faults: `smart-llmrouter mock` is.
 *
 *   cc -O2 -o mock_upstream mock_upstream.c [-DWITH_TLS -lssl -lcrypto]
 *   ./mock_upstream --port 9100 [--chunks 30] [--first-delay-ms 0] [--chunk-delay-ms 0]
 *                   [--tls-port 9101 --certificate PATH]
 *
 * With --tls-port it answers there, too, over TLS; it makes a certificate for 127.0.0.1
 * and localhost at its start, and writes it to PATH for whoever is to trust it.
 * POST .../chat/completions, .../completions -> OpenAI chat completion (JSON, or SSE when the body has "stream":true)
 * POST .../messages                          -> Anthropic message (JSON or SSE)
 * POST .../responses                         -> OpenAI response (JSON or SSE)
 * POST .../embeddings                        -> one 8-float embedding
 * GET  .../models                            -> model list;  GET /__stats -> counters;  any other GET -> {"status":"ok"}
 * A body holding mock-status-NNN is answered with that HTTP status (for failover tests);
 * mock-first-MS and mock-gap-MS in a body override the two delays for that request;
 * mock-size-BYTES asks for a plain answer whose body is about so large.
 * --first-delay-ms delays every answer; --chunk-delay-ms is the gap between SSE events
 * (0: all events are written one write() each, back to back). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#else
typedef void SSL;
#endif

enum { K_CHAT, K_MSG, K_RESP, K_EMB, K_N };
typedef struct { char *p; size_t n; } buf;
typedef struct { buf *ev; int n; } script;
typedef struct conn {
  SSL *ssl;                                   /* NULL: plain */
  int fd, close_after, want_out, active;      /* active: an answer is in progress */
  char *in; size_t inlen, incap;
  char *out; size_t outlen, outpos, outcap;
  script *sc; int idx, gap; int64_t due; const buf *later; int tidx;
} conn;

static int64_t now_us(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000LL + t.tv_nsec / 1000; }
static int ep, first_ms = 0, gap_ms = 0, nchunks = 30;
static buf full[K_N]; static script streams[3];
static uint64_t n_req, n_stream, n_err;
static conn **timers; static int ntimers, captimers;

#ifdef WITH_TLS
static SSL_CTX *tls;
static void fail(const char *what) { fprintf(stderr, "%s failed\n", what); ERR_print_errors_fp(stderr); exit(1); }
static void extend(X509 *x, int nid, const char *value) {
  X509V3_CTX v; X509V3_set_ctx_nodb(&v); X509V3_set_ctx(&v, x, x, NULL, NULL, 0);
  X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &v, nid, value); if (!e || !X509_add_ext(x, e, -1)) fail(value); X509_EXTENSION_free(e);
}
static void open_tls(const char *certificate) {                    /* a key and a certificate that live as long as this process */
  EVP_PKEY *key = EVP_EC_gen("P-256"); X509 *x = X509_new(); if (!key || !x) fail("key");
  X509_set_version(x, 2); ASN1_INTEGER_set(X509_get_serialNumber(x), (long)getpid());
  X509_gmtime_adj(X509_getm_notBefore(x), -3600); X509_gmtime_adj(X509_getm_notAfter(x), 86400); X509_set_pubkey(x, key);
  X509_NAME *name = X509_get_subject_name(x); X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mock provider", -1, -1, 0); X509_set_issuer_name(x, name);
  extend(x, NID_subject_key_identifier, "hash"); extend(x, NID_basic_constraints, "critical,CA:TRUE"); extend(x, NID_key_usage, "critical,digitalSignature,keyCertSign");
  extend(x, NID_ext_key_usage, "serverAuth"); extend(x, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
  if (!X509_sign(x, key, EVP_sha256())) fail("sign");
  FILE *f = fopen(certificate, "w"); if (!f || !PEM_write_X509(f, x) || fclose(f)) fail(certificate);
  tls = SSL_CTX_new(TLS_server_method()); if (!tls || SSL_CTX_use_certificate(tls, x) != 1 || SSL_CTX_use_PrivateKey(tls, key) != 1) fail("context");
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}
static SSL *tls_for(int fd) { SSL *s = SSL_new(tls); SSL_set_fd(s, fd); SSL_set_accept_state(s); return s; }
static ssize_t tls_result(SSL *s, int r) {                         /* as recv() and send() say it */
  if (r > 0) return r;
  int e = SSL_get_error(s, r); ERR_clear_error();
  if (e == SSL_ERROR_ZERO_RETURN) return 0;
  errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE; return -1;
}
static ssize_t rd(SSL *s, int fd, void *p, size_t n) { return s ? tls_result(s, SSL_read(s, p, (int)n)) : recv(fd, p, n, 0); }
static ssize_t wr(SSL *s, int fd, const void *p, size_t n) { return s ? tls_result(s, SSL_write(s, p, (int)n)) : send(fd, p, n, MSG_NOSIGNAL); }
static int more(SSL *s) { return s && SSL_pending(s); }
static void tls_free(SSL *s) { if (s) SSL_free(s); }
#else
static void open_tls(const char *c) { (void)c; fprintf(stderr, "built without TLS\n"); exit(2); }
static SSL *tls_for(int fd) { (void)fd; return NULL; }
static ssize_t rd(SSL *s, int fd, void *p, size_t n) { (void)s; return recv(fd, p, n, 0); }
static ssize_t wr(SSL *s, int fd, const void *p, size_t n) { (void)s; return send(fd, p, n, MSG_NOSIGNAL); }
static int more(SSL *s) { (void)s; return 0; }
static void tls_free(SSL *s) { (void)s; }
#endif
static buf fmt(const char *f, ...) {
  va_list a; va_start(a, f); char *s; int n = vasprintf(&s, f, a); va_end(a);
  return (buf){s, (size_t)n};
}
static buf http_json(int st, const char *body) {
  return fmt("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
             "x-request-id: req_mock0123456789\r\nopenai-processing-ms: 1\r\n\r\n%s", st, st == 200 ? "OK" : "Mock", strlen(body), body);
}
#define CHAT_HEAD "{\"id\":\"chatcmpl-BmockAbCdEfGhIjKlMnOpQrStUv\",\"object\":\"chat.completion\",\"created\":1750000000,\"model\":\"gpt-4o-mini-2024-07-18\"," \
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\""
#define CHAT_TAIL "\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}]," \
    "\"usage\":{\"prompt_tokens\":312,\"completion_tokens\":30,\"total_tokens\":342,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}," \
    "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock00\"}"
static const buf *sized(size_t n) {                                 /* a chat completion of about n bytes, made once */
  static struct { size_t n; buf b; } made[16]; static int count;
  for (int i = 0; i < count; i++) if (made[i].n == n) return &made[i].b;
  if (count == 16 || n > (64u << 20)) return &full[K_CHAT];
  static const char word[] = "A gateway adds one hop. "; size_t fixed = sizeof CHAT_HEAD + sizeof CHAT_TAIL - 2, fill = n > fixed ? n - fixed : 0;
  char *body = malloc(fixed + fill + 1), *p = stpcpy(body, CHAT_HEAD);
  for (size_t i = 0; i < fill; i++) *p++ = word[i % (sizeof word - 1)];
  strcpy(p, CHAT_TAIL); made[count].n = n; made[count].b = http_json(200, body); free(body);
  return &made[count++].b;
}
static void ev_add(script *s, const char *payload) {
  s->ev = realloc(s->ev, sizeof(buf) * (s->n + 1));
  if (!s->n) s->ev[s->n++] = fmt("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
                 "Transfer-Encoding: chunked\r\nx-request-id: req_mock0123456789\r\n\r\n%zx\r\n%s\r\n", strlen(payload), payload);
  else s->ev[s->n++] = fmt("%zx\r\n%s\r\n", strlen(payload), payload);
}
static void build(void) {
  full[K_CHAT] = http_json(200, CHAT_HEAD "The quick answer is that a gateway adds one extra network hop, so its own cost should stay well below the time that the model needs." CHAT_TAIL);
  full[K_MSG] = http_json(200, "{\"id\":\"msg_01MockAbCdEfGhIjKl\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-20250514\",\"content\":[{\"type\":\"text\",\"text\":\"The quick answer is that a gateway adds one extra network hop, so its own cost should stay well below the time that the model needs.\"}],"
    "\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":312,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":30,\"service_tier\":\"standard\"}}");
  full[K_RESP] = http_json(200, "{\"id\":\"resp_mock0123456789\",\"object\":\"response\",\"created_at\":1750000000,\"status\":\"completed\",\"error\":null,\"model\":\"gpt-4o-mini-2024-07-18\",\"output\":[{\"type\":\"message\",\"id\":\"msg_mock01\",\"status\":\"completed\",\"role\":\"assistant\","
    "\"content\":[{\"type\":\"output_text\",\"text\":\"The quick answer is that a gateway adds one extra network hop.\",\"annotations\":[]}]}],\"parallel_tool_calls\":true,\"tools\":[],\"usage\":{\"input_tokens\":312,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":30,\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":342}}");
  full[K_EMB] = http_json(200, "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]}],\"model\":\"text-embedding-3-small\",\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}");
  char t[1200]; script *c = &streams[K_CHAT], *m = &streams[K_MSG], *r = &streams[K_RESP];
#define CH "data: {\"id\":\"chatcmpl-BmockAbCdEfGhIjKlMnOpQrStUv\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock00\","
  ev_add(c, CH "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n");
  for (int i = 0; i < nchunks; i++) { snprintf(t, sizeof t, CH "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token%02d\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n", i); ev_add(c, t); }
  ev_add(c, CH "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n");
  snprintf(t, sizeof t, CH "\"choices\":[],\"usage\":{\"prompt_tokens\":312,\"completion_tokens\":%d,\"total_tokens\":%d,\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n\n", nchunks, 312 + nchunks); ev_add(c, t);
  ev_add(c, "data: [DONE]\n\n");
  ev_add(m, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01MockAbCdEfGhIjKl\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-20250514\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":312,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}}\n\n");
  ev_add(m, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
  for (int i = 0; i < nchunks; i++) { snprintf(t, sizeof t, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" token%02d\"}}\n\n", i); ev_add(m, t); }
  ev_add(m, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n");
  snprintf(t, sizeof t, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":%d}}\n\n", nchunks); ev_add(m, t);
  ev_add(m, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
  ev_add(r, "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_mock0123456789\",\"object\":\"response\",\"created_at\":1750000000,\"status\":\"in_progress\",\"model\":\"gpt-4o-mini-2024-07-18\",\"output\":[]}}\n\n");
  ev_add(r, "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"msg_mock01\",\"type\":\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n\n");
  for (int i = 0; i < nchunks; i++) { snprintf(t, sizeof t, "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":%d,\"item_id\":\"msg_mock01\",\"output_index\":0,\"content_index\":0,\"delta\":\" token%02d\"}\n\n", i + 2, i); ev_add(r, t); }
  snprintf(t, sizeof t, "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":%d,\"response\":{\"id\":\"resp_mock0123456789\",\"object\":\"response\",\"status\":\"completed\",\"model\":\"gpt-4o-mini-2024-07-18\",\"output\":[],\"usage\":{\"input_tokens\":312,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":%d,\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":%d}}}\n\n", nchunks + 2, nchunks, 312 + nchunks); ev_add(r, t);
  for (int k = 0; k < 3; k++) { buf *e = &streams[k].ev[streams[k].n - 1]; *e = fmt("%s0\r\n\r\n", e->p); }
}
static void drop(conn *c) {
  if (c->tidx >= 0) { timers[c->tidx] = timers[--ntimers]; timers[c->tidx]->tidx = c->tidx; c->tidx = -1; }
  tls_free(c->ssl); close(c->fd); free(c->in); free(c->out); free(c);
}
static void arm(conn *c, int64_t due) {
  c->due = due;
  if (c->tidx < 0) {
    if (ntimers == captimers) timers = realloc(timers, sizeof *timers * (captimers = captimers ? captimers * 2 : 256));
    c->tidx = ntimers; timers[ntimers++] = c;
  }
}
static void disarm(conn *c) { if (c->tidx >= 0) { timers[c->tidx] = timers[--ntimers]; timers[c->tidx]->tidx = c->tidx; c->tidx = -1; } }
static int put(conn *c, const char *p, size_t n) {                 /* 0 ok, -1 the peer is gone */
  if (c->outlen == c->outpos) {
    ssize_t w = wr(c->ssl, c->fd, p, n);
    if (w < 0) { if (errno != EAGAIN) return -1; w = 0; }
    p += w; n -= w; c->outlen = c->outpos = 0;
  }
  if (n) {
    if (c->outlen + n > c->outcap) c->out = realloc(c->out, c->outcap = (c->outlen + n) * 2);
    memcpy(c->out + c->outlen, p, n); c->outlen += n;
    if (!c->want_out) { c->want_out = 1; struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c}; epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e); }
  }
  return 0;
}
static int step(conn *c) {                                         /* write what is due; 0 ok, -1 dead */
  if (c->later) { const buf *b = c->later; c->later = NULL; c->active = 0; disarm(c); return put(c, b->p, b->n); }
  do {
    buf *b = &c->sc->ev[c->idx++];
    if (put(c, b->p, b->n)) return -1;
    if (c->idx == c->sc->n) { c->sc = NULL; c->active = 0; disarm(c); return 0; }
  } while (!c->gap);
  arm(c, now_us() + c->gap * 1000LL);
  return 0;
}
static long hdr_long(const char *h, const char *end, const char *name) {   /* value of a numeric header, -1 if absent */
  size_t n = strlen(name);
  for (const char *p = h; p < end;) {
    if (!strncasecmp(p, name, n) && p[n] == ':') return strtol(p + n + 1, NULL, 10);
    p = memchr(p, '\n', end - p); if (!p) break; p++;
  }
  return -1;
}
static int hdr_has(const char *h, const char *end, const char *name, const char *val) {
  size_t n = strlen(name);
  for (const char *p = h; p < end;) {
    const char *q = memchr(p, '\n', end - p); if (!q) q = end;
    if (!strncasecmp(p, name, n) && p[n] == ':') { char t[128]; size_t m = q - p - n - 1; if (m > 127) m = 127; memcpy(t, p + n + 1, m); t[m] = 0; return strcasestr(t, val) != NULL; }
    p = q + 1;
  }
  return 0;
}
static int respond(conn *c, const char *req, const char *path, size_t plen, const char *body, size_t blen) {
  n_req++;
  if (req[0] != 'P') {
    char b[600];
    if (plen >= 8 && !memcmp(path, "/__stats", 8)) snprintf(b, sizeof b, "{\"requests\":%lu,\"streams\":%lu,\"errors\":%lu}", n_req, n_stream, n_err);
    else if (plen >= 7 && !memcmp(path + plen - 7, "/models", 7)) snprintf(b, sizeof b, "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-4o-mini\",\"object\":\"model\",\"created\":1750000000,\"owned_by\":\"mock\"}]}");
    else snprintf(b, sizeof b, "{\"status\":\"ok\",\"model_path\":\"gpt-4o-mini\",\"model_id\":\"gpt-4o-mini\"}");
    buf r = http_json(200, b); int rc = put(c, r.p, r.n); free(r.p); return rc;
  }
  int status = 0, first = first_ms; size_t size = 0; c->gap = gap_ms;
  for (const char *p = body, *e = body + blen; (p = memmem(p, e - p, "mock-", 5));) {   /* one pass over what may be a large body */
    p += 5;
    if (e - p > 7 && !memcmp(p, "status-", 7)) status = atoi(p + 7);
    else if (e - p > 6 && !memcmp(p, "first-", 6)) first = atoi(p + 6);
    else if (e - p > 4 && !memcmp(p, "gap-", 4)) c->gap = atoi(p + 4);
    else if (e - p > 5 && !memcmp(p, "size-", 5)) size = strtoul(p + 5, NULL, 10);
  }
  if (status) { n_err++; if (status < 400 || status > 599) status = 500;
    buf r = http_json(status, "{\"error\":{\"message\":\"mock failure\",\"type\":\"mock_error\",\"param\":null,\"code\":\"mock\"}}"); int rc = put(c, r.p, r.n); free(r.p); return rc; }
  const char *end = memchr(path, '?', plen); if (end) plen = end - path;
  int kind = K_CHAT;
  if (plen >= 9 && !memcmp(path + plen - 9, "/messages", 9)) kind = K_MSG;
  else if (plen >= 10 && !memcmp(path + plen - 10, "/responses", 10)) kind = K_RESP;
  else if (plen >= 11 && !memcmp(path + plen - 11, "/embeddings", 11)) kind = K_EMB;
  int stream = 0;
  for (const char *p = body, *e = body + blen; kind != K_EMB && (p = memmem(p, e - p, "\"stream\"", 8));) {
    p += 8; while (p < e && (*p == ' ' || *p == ':')) p++;
    if (e - p >= 4 && !memcmp(p, "true", 4)) { stream = 1; break; }
  }
  c->active = 1;
  if (stream) { n_stream++; c->sc = &streams[kind]; c->idx = 0; } else c->later = size && kind == K_CHAT ? sized(size) : &full[kind];
  if (first) { arm(c, now_us() + first * 1000LL); return 0; }
  return step(c);
}
static int parse(conn *c) {                                        /* answer every complete request in c->in */
  while (c->inlen && !c->active) {
    char *he = memmem(c->in, c->inlen, "\r\n\r\n", 4);
    if (!he) return c->inlen > 65536 ? -1 : 0;
    size_t hl = he - c->in + 4, used; char *body = c->in + hl; size_t blen = 0; char *flat = NULL;
    const char *h = memchr(c->in, '\n', hl); h = h ? h + 1 : c->in + hl;
    if (hdr_has(h, he, "Expect", "100-continue") && !c->close_after) { static const char k[] = "HTTP/1.1 100 Continue\r\n\r\n"; if (c->inlen == hl && put(c, k, sizeof k - 1)) return -1; }
    long cl = hdr_long(h, he + 2, "Content-Length");
    if (cl >= 0) { if (c->inlen < hl + cl) return 0; blen = cl; used = hl + cl; }
    else if (hdr_has(h, he + 2, "Transfer-Encoding", "chunked")) {
      char *p = body, *e = c->in + c->inlen; flat = malloc(c->inlen);
      for (;;) {
        char *nl = memchr(p, '\n', e - p); if (!nl) { free(flat); return 0; }
        size_t n = strtoul(p, NULL, 16); p = nl + 1;
        if ((size_t)(e - p) < n + 2) { free(flat); return 0; }
        memcpy(flat + blen, p, n); blen += n; p += n + 2;
        if (!n) break;
      }
      used = p - c->in; body = flat;
    } else used = hl;
    char *sp = memchr(c->in, ' ', hl); char *pe = sp ? memchr(sp + 1, ' ', hl - (sp + 1 - c->in)) : NULL;
    if (!pe) { free(flat); return -1; }
    if (hdr_has(h, he + 2, "Connection", "close")) c->close_after = 1;
    int rc = respond(c, c->in, sp + 1, pe - sp - 1, body, blen); free(flat);
    if (rc) return -1;
    memmove(c->in, c->in + used, c->inlen - used); c->inlen -= used;
    if (c->close_after && !c->active && c->outlen == c->outpos) return -1;
  }
  return 0;
}
typedef struct { int fd, tls; } listener;
static void open_listener(listener *l, int port) {
  int one = 1; l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(l->fd, (void *)&a, sizeof a) || listen(l->fd, 4096)) { perror("bind"); exit(1); }
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = l}; epoll_ctl(ep, EPOLL_CTL_ADD, l->fd, &e);
}
static void welcome(const listener *l) {
  for (int one = 1, fd; (fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conn *c = calloc(1, sizeof *c); c->fd = fd; c->tidx = -1; c->in = malloc(c->incap = 4096); if (l->tls) c->ssl = tls_for(fd);
    struct epoll_event x = {.events = EPOLLIN, .data.ptr = c}; epoll_ctl(ep, EPOLL_CTL_ADD, fd, &x);
  }
}
static int hear(conn *c, char *tmp, size_t cap) {                  /* read what has come and answer it; -1: the connection is over */
  do {
    ssize_t r = rd(c->ssl, c->fd, tmp, cap);
    if (r == 0 || (r < 0 && errno != EAGAIN)) return -1;
    if (r < 0) return 0;
    if (c->inlen + r > c->incap) c->in = realloc(c->in, c->incap = (c->inlen + r) * 2);
    memcpy(c->in + c->inlen, tmp, r); c->inlen += r;
    if (parse(c)) return -1;
  } while (more(c->ssl));
  return 0;
}
int main(int argc, char **argv) {
  int port = 9100, tls_port = 0; const char *certificate = NULL;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--chunks")) nchunks = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--first-delay-ms")) first_ms = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--chunk-delay-ms")) gap_ms = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--tls-port")) tls_port = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--certificate")) certificate = argv[i + 1];
    else { fprintf(stderr, "unknown option %s\n", argv[i]); return 2; }
  }
  signal(SIGPIPE, SIG_IGN); build();
  if (tls_port && !certificate) { fprintf(stderr, "--tls-port needs --certificate\n"); return 2; }
  if (tls_port) open_tls(certificate);
  ep = epoll_create1(0); listener plain = {.tls = 0}, secure = {.tls = 1};
  open_listener(&plain, port); if (tls_port) open_listener(&secure, tls_port);
  static struct epoll_event evs[512]; char tmp[65536];
  for (;;) {
    int n = epoll_wait(ep, evs, 512, ntimers ? 1 : -1);
    for (int i = 0; i < n; i++) {
      conn *c = evs[i].data.ptr;
      if ((void *)c == &plain || (void *)c == &secure) { welcome((listener *)c); continue; }
      if (evs[i].events & EPOLLOUT && c->outlen > c->outpos) {
        ssize_t w = wr(c->ssl, c->fd, c->out + c->outpos, c->outlen - c->outpos);
        if (w < 0 && errno != EAGAIN) { drop(c); continue; }
        if (w > 0) c->outpos += w;
        if (c->outpos == c->outlen) { c->outpos = c->outlen = 0; c->want_out = 0; struct epoll_event x = {.events = EPOLLIN, .data.ptr = c}; epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &x); if (c->close_after && !c->active) { drop(c); continue; } }
      }
      if (evs[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && hear(c, tmp, sizeof tmp)) drop(c);
    }
    if (ntimers) {
      int64_t t = now_us();
      for (int i = ntimers - 1; i >= 0; i--) { if (i >= ntimers) continue; conn *c = timers[i]; if (c->due <= t) { if (step(c) || (!c->active && (parse(c) || (c->close_after && c->outlen == c->outpos)))) drop(c); } }
    }
  }
}
