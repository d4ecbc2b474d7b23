/* The stand-in for the CUDA runtime; fake_cudart.py says what it is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
enum { OK = 0, INVALID = 1, MEMORY = 2, DIRECTION = 21, OLD_DRIVER = 35, NO_DEVICE = 100, BAD_DEVICE = 101, HANDLE = 400, ILLEGAL_STATE = 401,
       NOT_READY = 600, ILLEGAL = 700, NOT_SUPPORTED = 801, UNSAFE = 900, INVALIDATED = 901, UNMATCHED = 903,
       WRONG_THREAD = 908, UNKNOWN = 999 };
enum { DEVICE = 1, PINNED = 2 };
enum { COPY, CALL, MARK };

typedef void (*callback_t)(void *);
typedef struct event { struct event *next; int recorded, done; double at; } event_t;
typedef struct op { struct op *next; int what; void *to; const void *from; size_t size; int kind;
                    callback_t callback; void *argument; event_t *event; } op_t;
typedef struct { op_t *first, *last; } queue_t;
typedef struct graph { struct graph *next; queue_t ops; int executable; } graph_t;
typedef struct stream { struct stream *next; queue_t waiting, captured; int capturing, broken, mode; pthread_t thread;
                        pthread_mutex_t running; } stream_t;
typedef struct block { struct block *next; char *at; size_t size, mapped; int kind; } block_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static block_t *blocks;
static stream_t *streams;
static graph_t *graphs;
static event_t *events;
static stream_t legacy = {.running = PTHREAD_MUTEX_INITIALIZER};
static size_t used, peak;
static int sticky, synchronizations, launches;
static __thread int last_error;

static int fail(int code) { if (code) last_error = code; return code; }

static int sticky_after(void) {
    const char *fault = getenv("FAKE_CUDA_FAULT");
    return fault && !strncmp(fault, "sticky:", 7) ? atoi(fault + 7) : -1;
}
static int told(const char *what) {
    const char *fault = getenv("FAKE_CUDA_FAULT");
    return fault && !strcmp(fault, what);
}
static size_t total(void) {
    const char *bytes = getenv("FAKE_CUDA_MEMORY");
    return bytes ? strtoull(bytes, NULL, 10) : 8000000000ULL;
}

static int driver_state = -1;
static void find_driver(void) {
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    int (*init)(unsigned) = library ? (int (*)(unsigned))dlsym(library, "cuInit") : NULL;
    driver_state = !init ? OLD_DRIVER : init(0) ? NO_DEVICE : OK;
}
static int ready(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_driver);
    return driver_state ? driver_state : sticky;
}

static int holds(const void *at, size_t size, int kind) { /* under lock */
    for (block_t *b = blocks; b; b = b->next)
        if ((const char *)at >= b->at && (const char *)at + size <= b->at + b->size) return b->kind == kind;
    return 0;
}
static stream_t *known(void *stream) { /* under lock */
    if (!stream) return &legacy;
    for (stream_t *s = streams; s; s = s->next) if (s == stream) return s;
    return NULL;
}
static void push(queue_t *queue, op_t op) {
    op_t *copy = malloc(sizeof op);
    *copy = op;
    copy->next = NULL;
    if (queue->last) queue->last->next = copy; else queue->first = copy;
    queue->last = copy;
}
static void clear(queue_t *queue) {
    for (op_t *op = queue->first, *next; op; op = next) { next = op->next; free(op); }
    queue->first = queue->last = NULL;
}
/* A capture in global mode forbids what may synchronize to every thread, one in thread-local mode to its own. */
static int forbidden(void) { /* under lock */
    int found = 0;
    for (stream_t *s = streams; s; s = s->next)
        if (s->capturing && (s->mode == 0 || (s->mode == 1 && pthread_equal(s->thread, pthread_self()))))
            s->broken = found = 1;
    return found;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}
static int sides(int kind, int *to, int *from) {
    static const int of[4][2] = {{PINNED, PINNED}, {DEVICE, PINNED}, {PINNED, DEVICE}, {DEVICE, DEVICE}};
    if (kind < 0 || kind > 3) return 0;
    *to = of[kind][0];
    *from = of[kind][1];
    return 1;
}
static int copy_is_allowed(const op_t *op) { /* under lock */
    int to, from;
    return sides(op->kind, &to, &from) && holds(op->to, op->size, to) && holds(op->from, op->size, from);
}
static void run(op_t *op) {
    if (op->what == CALL) op->callback(op->argument);
    pthread_mutex_lock(&lock);
    if (op->what == MARK) { op->event->done = 1; op->event->at = now(); }
    if (op->what == COPY) {
        if (copy_is_allowed(op)) memmove(op->to, op->from, op->size); else sticky = ILLEGAL;
    }
    pthread_mutex_unlock(&lock);
}
/* Runs what waits on a stream, in order. The lock is not held meanwhile: a callback may need another thread. */
static void drain(stream_t *stream) {
    pthread_mutex_lock(&stream->running);
    for (;;) {
        pthread_mutex_lock(&lock);
        op_t *op = stream->waiting.first;
        if (op) {
            stream->waiting.first = op->next;
            if (!op->next) stream->waiting.last = NULL;
        }
        pthread_mutex_unlock(&lock);
        if (!op) break;
        if (!sticky) run(op);
        free(op);
    }
    pthread_mutex_unlock(&stream->running);
}
static void drain_all(void) {
    drain(&legacy);
    for (stream_t *s = streams; s; s = s->next) if (!s->capturing) drain(s);
}
static int put(void *stream, op_t op) {
    int code = OK;
    pthread_mutex_lock(&lock);
    stream_t *s = known(stream);
    if (!s) code = HANDLE;
    else if (op.what == COPY && !copy_is_allowed(&op)) code = INVALID;
    else push(s->capturing ? &s->captured : &s->waiting, op);
    pthread_mutex_unlock(&lock);
    return code;
}

API int cudaRuntimeGetVersion(int *version) {
    if (!version) return fail(INVALID);
    *version = VERSION;
    return OK;
}
API int cudaGetLastError(void) {
    int code = sticky ? sticky : last_error;
    last_error = OK;
    return code;
}
static const struct { int code; const char *name, *text; } errors[] = {
    {OK, "cudaSuccess", "no error"},
    {INVALID, "cudaErrorInvalidValue", "invalid argument"},
    {MEMORY, "cudaErrorMemoryAllocation", "out of memory"},
    {DIRECTION, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {OLD_DRIVER, "cudaErrorInsufficientDriver", "CUDA driver version is insufficient for CUDA runtime version"},
    {NO_DEVICE, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {BAD_DEVICE, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {HANDLE, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {ILLEGAL_STATE, "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
    {NOT_READY, "cudaErrorNotReady", "device not ready"},
    {ILLEGAL, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {NOT_SUPPORTED, "cudaErrorNotSupported", "operation not supported"},
    {UNSAFE, "cudaErrorStreamCaptureUnsupported", "operation not permitted when stream is capturing"},
    {INVALIDATED, "cudaErrorStreamCaptureInvalidated", "operation failed due to a previous error during capture"},
    {UNMATCHED, "cudaErrorStreamCaptureUnmatched",
     "capture was not initiated in this stream"},
    {WRONG_THREAD, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
};
API const char *cudaGetErrorName(int code) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) if (errors[i].code == code) return errors[i].name;
    return "unrecognized error code";
}
API const char *cudaGetErrorString(int code) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) if (errors[i].code == code) return errors[i].text;
    return "unrecognized error code";
}

static __thread int current;
API int cudaGetDevice(int *device) {
    int code = ready();
    if (!code && !device) code = INVALID;
    if (!code) *device = current;
    return fail(code);
}
API int cudaSetDevice(int device) {
    int code = ready();
    if (!code && device) code = BAD_DEVICE;
    return fail(code);
}
API int cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    int code = ready();
    if (code) return fail(code);
    if (!free_bytes || !total_bytes) return fail(INVALID);
    pthread_mutex_lock(&lock);
    *total_bytes = total();
    *free_bytes = *total_bytes > used ? *total_bytes - used : 0;
    pthread_mutex_unlock(&lock);
    return OK;
}

static int take(void **at, size_t size, int kind) {
    int code = ready();
    if (code) return fail(code);
    if (!at) return fail(INVALID);
    *at = NULL;
    if (!size) return kind == DEVICE ? OK : fail(INVALID);
    pthread_mutex_lock(&lock);
    if (forbidden()) code = UNSAFE;
    else if (size > total() || used > total() - size) code = MEMORY;
    else {
        size_t mapped = (size + 4095) & ~(size_t)4095;
        void *memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) code = MEMORY;
        else {
            block_t *block = malloc(sizeof *block);
            *block = (block_t){blocks, memory, size, mapped, kind};
            /* Neither is cleared on a GPU: what is read before it is written must look like nothing. */
            memset(memory, 0xCD, size < 65536 ? size : 65536);
            blocks = block;
            used += size;
            if (used > peak) peak = used;
            *at = memory;
        }
    }
    pthread_mutex_unlock(&lock);
    return fail(code);
}
static int give(void *at, int kind) {
    int code = ready();
    if (code) return fail(code);
    if (!at) return OK;
    pthread_mutex_lock(&lock);
    int no = forbidden();
    pthread_mutex_unlock(&lock);
    if (no) return fail(UNSAFE);
    drain_all();
    pthread_mutex_lock(&lock);
    code = INVALID;
    for (block_t **link = &blocks; *link; link = &(*link)->next) {
        block_t *block = *link;
        if (block->at != at || block->kind != kind) continue;
        *link = block->next;
        used -= block->size;
        munmap(block->at, block->mapped);
        free(block);
        code = OK;
        break;
    }
    pthread_mutex_unlock(&lock);
    return fail(code);
}
API int cudaMalloc(void **at, size_t size) { return take(at, size, DEVICE); }
API int cudaFree(void *at) { return give(at, DEVICE); }
API int cudaHostAlloc(void **at, size_t size, unsigned flags) {
    if (flags > 7) return fail(INVALID);
    return told("no-pinned") ? fail(MEMORY) : take(at, size, PINNED);
}
API int cudaFreeHost(void *at) { return give(at, PINNED); }

API int cudaStreamCreateWithFlags(void **stream, unsigned flags) {
    int code = ready();
    if (code) return fail(code);
    if (!stream || flags > 1) return fail(INVALID);
    stream_t *made = calloc(1, sizeof *made);
    pthread_mutex_init(&made->running, NULL);
    pthread_mutex_lock(&lock);
    made->next = streams;
    streams = made;
    pthread_mutex_unlock(&lock);
    *stream = made;
    return OK;
}
API int cudaStreamDestroy(void *stream) {
    int code = ready();
    if (code && code != sticky) return fail(code);
    pthread_mutex_lock(&lock);
    stream_t *s = stream ? known(stream) : NULL;
    pthread_mutex_unlock(&lock);
    if (!s) return fail(HANDLE);
    drain(s); /* the real one comes back at once and lets the work end */
    pthread_mutex_lock(&lock);
    for (stream_t **link = &streams; *link; link = &(*link)->next)
        if (*link == s) { *link = s->next; break; }
    clear(&s->captured);
    pthread_mutex_unlock(&lock);
    /* Not freed: another thread may be on its way through the list. */
    return fail(code);
}
static int synchronized(void) {
    pthread_mutex_lock(&lock);
    int after = sticky_after();
    if (after >= 0 && ++synchronizations > after && !sticky) sticky = ILLEGAL;
    pthread_mutex_unlock(&lock);
    return sticky;
}
API int cudaStreamSynchronize(void *stream) {
    int code = ready();
    if (code) return fail(code);
    pthread_mutex_lock(&lock);
    stream_t *s = known(stream);
    if (!s) code = HANDLE;
    else if (s->capturing) { s->broken = 1; code = UNSAFE; }
    pthread_mutex_unlock(&lock);
    if (code) return fail(code);
    drain(s);
    return fail(synchronized());
}
API int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) {
    int code = ready(), a, b;
    if (code) return fail(code);
    if (!sides(kind, &a, &b)) return fail(DIRECTION);
    if (!size) return OK;
    return fail(put(stream, (op_t){.what = COPY, .to = to, .from = from, .size = size, .kind = kind}));
}

API int cudaStreamBeginCapture(void *stream, int mode) {
    int code = ready();
    if (code) return fail(code);
    if (told("no-capture")) return fail(NOT_SUPPORTED);
    pthread_mutex_lock(&lock);
    stream_t *s = known(stream);
    if (!s) code = HANDLE;
    else if (s == &legacy) code = UNSAFE;
    else if (mode < 0 || mode > 2) code = INVALID;
    else if (s->capturing) { s->broken = 1; code = ILLEGAL_STATE; }
    else { s->capturing = 1; s->broken = 0; s->mode = mode; s->thread = pthread_self(); }
    pthread_mutex_unlock(&lock);
    return fail(code);
}
API int cudaStreamEndCapture(void *stream, void **graph) {
    int code = ready();
    if (code) return fail(code);
    if (!graph) return fail(INVALID);
    *graph = NULL;
    pthread_mutex_lock(&lock);
    stream_t *s = known(stream);
    if (!s) code = HANDLE;
    else if (!s->capturing) code = UNMATCHED;
    else if (s->mode != 2 && !pthread_equal(s->thread, pthread_self())) code = WRONG_THREAD;
    else {
        s->capturing = 0;
        if (s->broken) { clear(&s->captured); code = INVALIDATED; }
        else {
            graph_t *made = calloc(1, sizeof *made);
            made->ops = s->captured;
            made->next = graphs;
            graphs = made;
            *graph = made;
        }
        s->captured = (queue_t){NULL, NULL};
    }
    pthread_mutex_unlock(&lock);
    return fail(code);
}
static graph_t *known_graph(void *graph, int executable) { /* under lock */
    for (graph_t *g = graphs; g; g = g->next) if (g == graph && g->executable == executable) return g;
    return NULL;
}
API int cudaGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    int code = ready();
    if (code) return fail(code);
    if (!executable || flags > 15) return fail(INVALID);
    pthread_mutex_lock(&lock);
    graph_t *g = known_graph(graph, 0);
    if (!g) code = INVALID;
    else {
        graph_t *made = calloc(1, sizeof *made);
        made->executable = 1;
        for (op_t *op = g->ops.first; op; op = op->next) push(&made->ops, *op);
        made->next = graphs;
        graphs = made;
        *executable = made;
    }
    pthread_mutex_unlock(&lock);
    return fail(code);
}
API int cudaGraphLaunch(void *executable, void *stream) {
    int code = ready();
    if (code) return fail(code);
    pthread_mutex_lock(&lock);
    graph_t *g = known_graph(executable, 1);
    stream_t *s = known(stream);
    if (!g) code = INVALID;
    else if (!s) code = HANDLE;
    else {
        launches++;
        for (op_t *op = g->ops.first; op; op = op->next) push(s->capturing ? &s->captured : &s->waiting, *op);
    }
    pthread_mutex_unlock(&lock);
    return fail(code);
}
static int destroy_graph(void *graph, int executable) {
    int code = ready();
    if (code && code != sticky) return fail(code);
    pthread_mutex_lock(&lock);
    graph_t *g = known_graph(graph, executable);
    for (graph_t **link = &graphs; g && *link; link = &(*link)->next)
        if (*link == g) { *link = g->next; break; }
    pthread_mutex_unlock(&lock);
    if (!g) return fail(INVALID);
    clear(&g->ops);
    free(g);
    return fail(code);
}
API int cudaGraphExecDestroy(void *executable) { return destroy_graph(executable, 1); }
API int cudaGraphDestroy(void *graph) { return destroy_graph(graph, 0); }

static event_t *known_event(void *event) { /* under lock */
    for (event_t *e = events; e; e = e->next) if (e == event) return e;
    return NULL;
}
API int cudaEventCreateWithFlags(void **event, unsigned flags) {
    int code = ready();
    if (code) return fail(code);
    if (!event || flags > 7) return fail(INVALID);
    event_t *made = calloc(1, sizeof *made);
    pthread_mutex_lock(&lock);
    made->next = events;
    events = made;
    pthread_mutex_unlock(&lock);
    *event = made;
    return OK;
}
API int cudaEventRecord(void *event, void *stream) {
    int code = ready();
    if (code) return fail(code);
    pthread_mutex_lock(&lock);
    event_t *e = known_event(event);
    if (e) { e->recorded = 1; e->done = 0; }
    pthread_mutex_unlock(&lock);
    return fail(e ? put(stream, (op_t){.what = MARK, .event = e}) : HANDLE);
}
API int cudaEventSynchronize(void *event) {
    int code = ready();
    if (code) return fail(code);
    pthread_mutex_lock(&lock);
    event_t *e = known_event(event);
    pthread_mutex_unlock(&lock);
    if (!e) return fail(HANDLE);
    if (e->recorded && !e->done) drain_all();
    return fail(synchronized());
}
API int cudaEventElapsedTime(float *milliseconds, void *start, void *end) {
    int code = ready();
    if (code) return fail(code);
    pthread_mutex_lock(&lock);
    event_t *a = known_event(start), *b = known_event(end);
    if (!milliseconds) code = INVALID;
    else if (!a || !b || !a->recorded || !b->recorded) code = HANDLE;
    else if (!a->done || !b->done) code = NOT_READY;
    else *milliseconds = (float)(b->at - a->at);
    pthread_mutex_unlock(&lock);
    return fail(code);
}
API int cudaEventDestroy(void *event) {
    int code = ready();
    if (code && code != sticky) return fail(code);
    drain_all();
    pthread_mutex_lock(&lock);
    event_t *e = known_event(event);
    for (event_t **link = &events; e && *link; link = &(*link)->next)
        if (*link == e) { *link = e->next; break; }
    pthread_mutex_unlock(&lock);
    if (!e) return fail(HANDLE);
    free(e);
    return fail(code);
}

/* What TensorRT does inside: a kernel launch. 0: it waits on the stream; -1: it was captured; else the error. */
API int fake_enqueue(void *stream, callback_t callback, void *argument) {
    int code = ready();
    if (code) return fail(code);
    pthread_mutex_lock(&lock);
    stream_t *s = known(stream);
    int capturing = s && s->capturing;
    pthread_mutex_unlock(&lock);
    code = put(stream, (op_t){.what = CALL, .callback = callback, .argument = argument});
    return code ? fail(code) : capturing ? -1 : OK;
}
API int fake_holds(const void *at, size_t size) {
    pthread_mutex_lock(&lock);
    int held = holds(at, size, DEVICE);
    pthread_mutex_unlock(&lock);
    return held;
}
API void fake_illegal(void) { sticky = ILLEGAL; }
API int fake_capturing(void *stream) {
    pthread_mutex_lock(&lock);
    stream_t *s = known(stream);
    int capturing = s && s->capturing;
    pthread_mutex_unlock(&lock);
    return capturing;
}

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("FAKE_CUDA_LOG");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file) return;
    int device = 0, pinned = 0, open_streams = 0, open_graphs = 0, open_events = 0;
    for (block_t *b = blocks; b; b = b->next) b->kind == DEVICE ? device++ : pinned++;
    for (stream_t *s = streams; s; s = s->next) open_streams++;
    for (graph_t *g = graphs; g; g = g->next) open_graphs++;
    for (event_t *e = events; e; e = e->next) open_events++;
    fprintf(file, "{\"pid\": %d, \"device\": %d, \"pinned\": %d, \"bytes\": %zu, \"streams\": %d, \"graphs\": %d, "
                  "\"events\": %d, \"peak\": %zu, \"launches\": %d}\n",
            (int)getpid(), device, pinned, used, open_streams, open_graphs, open_events, peak, launches);
    fclose(file);
}
