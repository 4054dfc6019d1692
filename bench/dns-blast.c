// Asks a DNS server over UDP as fast as it answers: built and started by dns-load.mjs where a C compiler is, for the
// same in JavaScript (dns-blast.mjs) takes twice the time for a question, on the same cores as the server.
// dns-blast PORT SECONDS FILE RUN: FILE has messages, each behind its length in two bytes, the lower first.
//
// Messages are built once and sent from where they are, RUN equally long ones at a time, by UDP_SEGMENT when that is more
// than one: the server's socket gets a datagram for each all the same, for it does not ask for joint ones (UDP_GRO). The
// last few of a length that do not fill a run are left out. Of an answer the header is read. Two threads have eight
// sockets each, with up to 16 questions under way: no more in all than the socket of a server that leaves it at
// its usual size has room for.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { THREADS = 2, SOCKETS = 8, WINDOW = 16, HEADER = 12, MAX_MESSAGE = 512, WAIT_MS = 50 };

struct run {
  struct iovec bytes;
  union {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
  } control;
};

struct asker {
  pthread_t thread;
  int sockets[SOCKETS];
  // This thread's own: the kernel writes to headers.
  struct mmsghdr *requests;
  size_t next;
  unsigned long answered, lost, codes[16];
};

static size_t per_run;
static struct run **runs;
static size_t run_count;
static double until_ms;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static double cpu_us(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void *allocate(size_t count, size_t bytes) {
  void *memory = calloc(count, bytes);
  if (memory == NULL) fail("calloc");
  return memory;
}

/** Sorts messages into runs of one length, in the order in which these are full. */
static void read_runs(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail(path);
  static uint8_t *open_runs[MAX_MESSAGE + 1];
  static size_t open_counts[MAX_MESSAGE + 1];
  size_t room = 0;
  uint8_t head[2];
  while (fread(head, 1, 2, file) == 2) {
    size_t length = head[0] + 256u * head[1];
    if (length == 0 || length > MAX_MESSAGE) exit(1);
    if (open_runs[length] == NULL) open_runs[length] = allocate(per_run, length);
    if (fread(open_runs[length] + length * open_counts[length], 1, length, file) != length) fail(path);
    open_counts[length] += 1;
    if (open_counts[length] < per_run) continue;
    struct run *run = allocate(1, sizeof *run);
    run->bytes = (struct iovec){open_runs[length], per_run * length};
    run->control.header = (struct cmsghdr){CMSG_LEN(sizeof(uint16_t)), IPPROTO_UDP, UDP_SEGMENT};
    uint16_t segment = length;
    memcpy(CMSG_DATA(&run->control.header), &segment, sizeof segment);
    if (run_count == room) {
      room = room * 2 + 1024;
      runs = realloc(runs, room * sizeof *runs);
      if (runs == NULL) fail("realloc");
    }
    runs[run_count++] = run;
    open_runs[length] = NULL;
    open_counts[length] = 0;
  }
  fclose(file);
  if (run_count == 0) exit(1);
}

static int open_socket(int port) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  struct timeval wait = {0, WAIT_MS * 1000};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0) fail("SO_RCVTIMEO");
  // Connected, so that no way has to be looked for.
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) fail("connect");
  return fd;
}

/** Sends as many runs as a window has room for beside the questions that are under way. @returns how many are now. */
static size_t ask(struct asker *self, int fd, size_t under_way) {
  size_t count = (WINDOW - under_way) / per_run;
  if (count == 0) return under_way;
  int sent = sendmmsg(fd, self->requests + self->next, count, 0);
  if (sent <= 0) return under_way;
  self->next = (self->next + sent) % run_count;
  return under_way + sent * per_run;
}

static void *run_asker(void *argument) {
  struct asker *self = argument;
  uint8_t heads[WINDOW][HEADER];
  struct iovec places[WINDOW];
  struct mmsghdr answers[WINDOW] = {0};
  for (int i = 0; i < WINDOW; i++) {
    places[i] = (struct iovec){heads[i], HEADER};
    answers[i].msg_hdr = (struct msghdr){.msg_iov = &places[i], .msg_iovlen = 1};
  }
  size_t under_way[SOCKETS];
  for (int i = 0; i < SOCKETS; i++) under_way[i] = ask(self, self->sockets[i], 0);
  while (now_ms() < until_ms) {
    for (int i = 0; i < SOCKETS; i++) {
      int came = recvmmsg(self->sockets[i], answers, WINDOW, MSG_WAITFORONE, NULL);
      if (came <= 0) {
        // Nothing for a while: what is under way will not come any more.
        self->lost += under_way[i];
        under_way[i] = 0;
      } else {
        self->answered += came;
        for (int j = 0; j < came; j++) self->codes[heads[j][3] & 15] += 1;
        under_way[i] = (size_t)came < under_way[i] ? under_way[i] - came : 0;
      }
      under_way[i] = ask(self, self->sockets[i], under_way[i]);
    }
  }
  return NULL;
}

static void prepare(struct asker *self, int port, size_t first) {
  for (int i = 0; i < SOCKETS; i++) self->sockets[i] = open_socket(port);
  self->next = first;
  // Some of the first ones again behind the last, so that a call for several never has to begin anew.
  self->requests = allocate(run_count + WINDOW, sizeof *self->requests);
  for (size_t i = 0; i < run_count + WINDOW; i++) {
    struct run *run = runs[i % run_count];
    self->requests[i].msg_hdr = (struct msghdr){
        .msg_iov = &run->bytes,
        .msg_iovlen = 1,
        .msg_control = per_run == 1 ? NULL : &run->control,
        .msg_controllen = per_run == 1 ? 0 : sizeof run->control,
    };
  }
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  per_run = atoi(argv[4]);
  if (per_run < 1 || per_run > WINDOW) return 2;
  read_runs(argv[3]);
  static struct asker askers[THREADS];
  for (int i = 0; i < THREADS; i++) prepare(&askers[i], atoi(argv[1]), run_count * i / THREADS);
  double began = now_ms(), cpu = cpu_us();
  until_ms = began + atof(argv[2]) * 1000;
  for (int i = 0; i < THREADS; i++) {
    if (pthread_create(&askers[i].thread, NULL, run_asker, &askers[i]) != 0) fail("pthread_create");
  }
  unsigned long answered = 0, lost = 0, codes[16] = {0};
  for (int i = 0; i < THREADS; i++) {
    pthread_join(askers[i].thread, NULL);
    answered += askers[i].answered;
    lost += askers[i].lost;
    for (int code = 0; code < 16; code++) codes[code] += askers[i].codes[code];
  }
  printf("{\"answers\":%lu,\"lost\":%lu,\"ms\":%.3f,\"us\":%.3f,\"codes\":{", answered, lost, now_ms() - began, (cpu_us() - cpu) / answered);
  const char *separator = "";
  for (int i = 0; i < 16; i++) {
    if (codes[i] == 0) continue;
    printf("%s\"%d\":%lu", separator, i, codes[i]);
    separator = ",";
  }
  printf("}}\n");
  return 0;
}
