/* HTTP load client that reads streams: N keep-alive connections, each sends the same POST
 * again and again and reads the answer to its end. One thread, epoll, no dependencies.
 * Prints one JSON line.
 *
 *   cc -O2 -o sse_load sse_load.c
 *   ./sse_load PORT PATH BODY_FILE CONNECTIONS SECONDS REQUESTS [ "Header: value" ... ]
 *              [ --spread-ms=N ] [ --gaps ]
 *
 * Requests are sent until SECONDS have passed or, where REQUESTS is not 0, until exactly
 * so many have been sent. Then it waits for the answers that are still on their way, so
 * that every request it sent is counted as answered or as an error. With --spread-ms the
 * connections begin one after the other, evenly over so long.
 *
 * ttfb: request written -> first byte of the answer's body; total: -> end of the body
 * (both in microseconds). events counts "data:" lines. no_end counts streams without
 * "[DONE]", "message_stop" or "response.completed"; for plain answers it says nothing.
 * With --gaps it tells the time between two events of a stream, too (0 for events that
 * were read together). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
static int64_t now_us(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000LL + t.tv_nsec / 1000; }
typedef struct {
  int fd, st, status, chunked, closeit; long left; int64_t t0, tfirst, tlast; size_t hn; char h[8192]; char line[32]; int ln;
  char tail[64]; int tn, bol, ended; uint64_t ev;
} conn;
#define DRAIN_US 20000000LL                                        /* how long answers on their way may take */
enum { S_IDLE, S_HEAD, S_BODY, S_CSIZE, S_CDATA, S_CEND, S_TRAIL };
static int ep, port; static char *req; static size_t reqn; static conn *cs; static struct sockaddr_in addr;
typedef struct { uint32_t *v; size_t n, cap; } vec;
static vec ttfb, total, gaps; static int want_gaps; static uint64_t events, done_events, bytes, errors, non2xx, no_end, streams;
static void push(vec *v, uint32_t x) { if (v->n == v->cap) v->v = realloc(v->v, 4 * (v->cap = v->cap ? v->cap * 2 : 4096)); v->v[v->n++] = x; }
static int cmp(const void *a, const void *b) { uint32_t x = *(uint32_t *)a, y = *(uint32_t *)b; return (x > y) - (x < y); }
static uint32_t pct(vec *v, double p) { return v->n ? v->v[(size_t)((v->n - 1) * p)] : 0; }
static void open_conn(conn *c) {
  int one = 1; c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(c->fd, (void *)&addr, sizeof addr)) { perror("connect"); exit(1); }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c}; epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e); c->st = S_IDLE;
}
static long budget = -1; static int open_calls;
static void start(conn *c) {
  if (!budget) { c->st = S_IDLE; return; }
  if (budget > 0) budget--;
  open_calls++;
  c->st = S_HEAD; c->hn = 0; c->tn = 0; c->bol = 0; c->ended = 0; c->ev = 0; c->tfirst = c->tlast = 0; c->chunked = 0; c->left = -1; c->closeit = 0; c->ln = 0;
  c->t0 = now_us(); if (write(c->fd, req, reqn) != (ssize_t)reqn) errors++;
}
static int has_end(const char *p, size_t n) { return memmem(p, n, "[DONE]", 6) || memmem(p, n, "message_stop", 12) || memmem(p, n, "response.completed", 18); }
static void eat(conn *c, const char *p, size_t n) {               /* decoded body bytes */
  if (!c->tfirst && n) c->tfirst = now_us();
  bytes += n; int64_t t = want_gaps ? now_us() : 0;
  for (const char *q = p, *e = p + n; q < e;) {                    /* bol: letters of "data:" matched at the start of this line, -1: no match */
    while (c->bol >= 0 && c->bol < 5 && q < e && *q != '\n') { if (*q == "data:"[c->bol]) { q++; if (++c->bol == 5) { c->ev++; events++; if (want_gaps) { if (c->tlast) push(&gaps, t - c->tlast); c->tlast = t; } } } else c->bol = -1; }
    if (q == e) break;
    const char *nl = memchr(q, '\n', e - q); if (!nl) break; c->bol = 0; q = nl + 1;
  }
  size_t k = n < 24 ? n : 24; memcpy(c->tail + c->tn, p, k); c->tn += k;        /* an end mark may be split between two reads */
  if (has_end(p, n) || has_end(c->tail, c->tn)) c->ended = 1;
  if (n >= 24) { memcpy(c->tail, p + n - 24, 24); c->tn = 24; } else if (c->tn > 24) { memmove(c->tail, c->tail + c->tn - 24, 24); c->tn = 24; }
}
static void finish(conn *c, int running) {
  int64_t t = now_us(); streams++; open_calls--; done_events += c->ev; if (!c->ended) no_end++; if (c->status < 200 || c->status > 299) non2xx++;
  push(&ttfb, c->tfirst ? c->tfirst - c->t0 : t - c->t0); push(&total, t - c->t0); c->st = S_IDLE;
  if (c->closeit) { close(c->fd); if (running) open_conn(c); }
  if (running) start(c);
}
static void feed(conn *c, char *p, size_t n, int running) {
  while (n) switch (c->st) {
    case S_IDLE: return;
    case S_HEAD: {
      size_t k = n < sizeof c->h - 1 - c->hn ? n : sizeof c->h - 1 - c->hn; size_t old = c->hn; memcpy(c->h + c->hn, p, k); c->hn += k; c->h[c->hn] = 0;
      char *e = memmem(c->h, c->hn, "\r\n\r\n", 4); if (!e) { if (c->hn > 8000) { errors++; exit(3); } return; }
      size_t hl = e - c->h + 4, take = hl - old; p += take; n -= take; c->h[hl] = 0;
      c->status = atoi(c->h + 9); char *x;
      if (c->status == 100) { c->hn = 0; break; }
      c->chunked = strcasestr(c->h, "transfer-encoding: chunked") != NULL; c->closeit = strcasestr(c->h, "connection: close") != NULL;
      x = strcasestr(c->h, "content-length:"); c->left = x ? atol(x + 15) : -1; c->st = c->chunked ? S_CSIZE : S_BODY; c->ln = 0;
      if (c->st == S_BODY && c->left == 0) { finish(c, running); return; }
      break; }
    case S_BODY: { size_t k = c->left >= 0 && (long)n > c->left ? (size_t)c->left : n; eat(c, p, k); p += k; n -= k; if (c->left >= 0 && !(c->left -= k)) { finish(c, running); return; } break; }
    case S_CSIZE: { char ch = *p++; n--; if (ch == '\n') { c->line[c->ln] = 0; c->left = strtol(c->line, NULL, 16); c->ln = 0; c->st = c->left ? S_CDATA : S_TRAIL; } else if (c->ln < 30) c->line[c->ln++] = ch; break; }
    case S_CDATA: { size_t k = (long)n > c->left ? (size_t)c->left : n; eat(c, p, k); p += k; n -= k; c->left -= k; if (!c->left) c->st = S_CEND; break; }
    case S_CEND: { char ch = *p++; n--; if (ch == '\n') { c->st = S_CSIZE; c->ln = 0; } break; }
    case S_TRAIL: { char ch = *p++; n--; if (ch == '\n') { if (!c->ln) { finish(c, running); return; } c->ln = 0; } else if (ch != '\r') c->ln++; break; }
  }
}
int main(int argc, char **argv) {
  if (argc < 7) { fprintf(stderr, "usage: sse_load PORT PATH BODY_FILE CONNECTIONS SECONDS REQUESTS [header ...]\n"); return 2; }
  port = atoi(argv[1]); int nc = atoi(argv[4]); double secs = atof(argv[5]); if (atol(argv[6])) budget = atol(argv[6]);
  FILE *f = fopen(argv[3], "rb"); if (!f) { perror("body"); return 1; } static char body[8 << 20]; size_t bn = fread(body, 1, sizeof body, f); fclose(f);
  char hs[8192] = ""; long spread_ms = 0;
  for (int i = 7; i < argc; i++) { if (!strncmp(argv[i], "--spread-ms=", 12)) { spread_ms = atol(argv[i] + 12); continue; } if (!strcmp(argv[i], "--gaps")) { want_gaps = 1; continue; } strcat(hs, argv[i]); strcat(hs, "\r\n"); }
  char *hd; int hn = asprintf(&hd, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n%sContent-Length: %zu\r\n\r\n", argv[2], port, hs, bn);
  req = malloc(hn + bn); memcpy(req, hd, hn); memcpy(req + hn, body, bn); reqn = hn + bn;
  signal(SIGPIPE, SIG_IGN); ep = epoll_create1(0); addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  cs = calloc(nc, sizeof *cs); for (int i = 0; i < nc; i++) open_conn(&cs[i]);
  int64_t t0 = now_us(), tend = t0 + (int64_t)(secs * 1e6); int begun = 0;
  static struct epoll_event ev[256]; static char tmp[1 << 17];
  for (;;) {
    int64_t t = now_us(); if (t >= tend) { budget = 0; if (t >= tend + DRAIN_US) break; }
    while (begun < nc && t < tend && t - t0 >= spread_ms * 1000LL * begun / nc) start(&cs[begun++]);
    if (!budget && !open_calls) break;
    int n = epoll_wait(ep, ev, 256, begun < nc ? 1 : 20);
    for (int i = 0; i < n; i++) { conn *c = ev[i].data.ptr; ssize_t r = read(c->fd, tmp, sizeof tmp);
      if (r <= 0) { if (r == 0 && c->st == S_BODY && c->left < 0) { c->closeit = 1; finish(c, 1); } else { errors++; if (c->st != S_IDLE) open_calls--; close(c->fd); if (errors > 1000) { fprintf(stderr, "too many errors\n"); goto out; } open_conn(c); start(c); } continue; }
      feed(c, tmp, r, 1); }
  }
out:;
  double el = (now_us() - t0) / 1e6; qsort(ttfb.v, ttfb.n, 4, cmp); qsort(total.v, total.n, 4, cmp); qsort(gaps.v, gaps.n, 4, cmp);
  printf("{\"streams\":%lu,\"events\":%lu,\"streams_per_s\":%.1f,\"events_per_s\":%.0f,\"events_per_stream\":%.2f,\"ttfb_p50_us\":%u,\"ttfb_p99_us\":%u,\"total_p50_us\":%u,\"total_p99_us\":%u,\"errors\":%lu,\"non2xx\":%lu,\"no_end\":%lu,\"mb_per_s\":%.2f,\"gap_p50_us\":%u,\"gap_p99_us\":%u}\n",
    streams, events, streams / el, events / el, streams ? (double)done_events / streams : 0, pct(&ttfb, .5), pct(&ttfb, .99), pct(&total, .5), pct(&total, .99), errors, non2xx, no_end, bytes / el / 1e6, pct(&gaps, .5), pct(&gaps, .99));
}
