/* One thread: all pieces in their order. */

static void end_step(Job* job) {
    job->metrics += job->metrics_bytes;
    job->rates += job->rate_bytes;
    for (Size k = 0; k < job->moving; ++k) {
        void** const array = job->a + job->moved[2 * k];
        *array = (char*)*array + job->moved[2 * k + 1];
    }
    ++job->step;
}

static void run_piece(const Job* job, const Piece* piece) {
    CHAINS[piece->chain](job, piece->begin, piece->end, piece->part);
}

static void run_alone(Job* job) {
    for (; job->step < job->last; end_step(job)) {
        ALONE[0](job);
        for (Size phase = 0, piece = 0; phase < job->phases; ++phase) {
            for (; piece < job->ends[phase]; ++piece) run_piece(job, job->pieces + piece);
            ALONE[phase + 1](job);
        }
    }
}

/* Several threads take the pieces of a phase; who ends the last of them opens the next phase.
   Nobody waits for a thread that has no piece. Each begins with the same pieces in every step, as
   their arrays are in its caches. phase: counted from the start. taken: of each piece, the last
   phase in which somebody took it, counted from 1. */

enum { TURNS = 2000 };

typedef struct {
    Job* job;
    int threads;
    uint64_t last;
    _Atomic uint64_t phase;
    _Atomic uint64_t* taken;
    _Atomic Size done;
    _Atomic int joined, asleep;
    pthread_mutex_t lock;
    pthread_cond_t opened;
} Team;

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static void open_phase(Team* team, uint64_t phase) {
    atomic_store(&team->done, 0);
    atomic_store(&team->phase, phase);
    if (atomic_load(&team->asleep)) {
        pthread_mutex_lock(&team->lock);
        pthread_cond_broadcast(&team->opened);
        pthread_mutex_unlock(&team->lock);
    }
}

static void wait_for_next(Team* team, uint64_t phase) {
    for (int turn = 0; turn < TURNS; ++turn) {
        if (atomic_load_explicit(&team->phase, memory_order_relaxed) != phase) return;
        pause_briefly();
    }
    pthread_mutex_lock(&team->lock);
    atomic_fetch_add(&team->asleep, 1);
    while (atomic_load(&team->phase) == phase)
        pthread_cond_wait(&team->opened, &team->lock);
    atomic_fetch_sub(&team->asleep, 1);
    pthread_mutex_unlock(&team->lock);
}

static void end_phase(Job* job, Size phase) {
    ALONE[phase + 1](job);
    if (phase + 1 < job->phases) return;
    end_step(job);
    if (job->step < job->last) ALONE[0](job);
}

/* Takes a piece that nobody has, from one on; -1 where there is none left. */
static Size take(Team* team, uint64_t phase, Size first, Size count, Size from) {
    for (Size k = 0; k < count; ++k) {
        Size piece = first + (from + k) % count;
        uint64_t before = atomic_load(team->taken + piece);
        if (before <= phase && atomic_compare_exchange_strong(team->taken + piece, &before, phase + 1))
            return piece;
    }
    return -1;
}

static void* work(void* of) {
    Team* team = of;
    Job* job = team->job;
    int me = atomic_fetch_add(&team->joined, 1);
    flush_to_zero();
    for (uint64_t number; (number = atomic_load(&team->phase)) != team->last;) {
        Size phase = number % job->phases, first = phase ? job->ends[phase - 1] : 0;
        Size count = job->ends[phase] - first;
        Size piece = take(team, number, first, count, me * count / team->threads);
        if (piece < 0) {
            wait_for_next(team, number);
            continue;
        }
        run_piece(job, job->pieces + piece);
        if (atomic_fetch_add(&team->done, 1) + 1 == count) {
            end_phase(job, phase);
            open_phase(team, number + 1);
        }
    }
    return NULL;
}

/* Threads that live as long as a call, deaf to signals, which are the interpreter's, and with the
   room of a main thread: rows are kept there, for which 128 KiB as musl gives do not suffice. */

enum { MOST_THREADS = 1024, STACK_BYTES = 1 << 23 };

static int start(pthread_t* threads, int count, void* (*function)(void*), void* argument) {
    sigset_t all, before;
    pthread_attr_t roomy;
    sigfillset(&all);
    pthread_attr_init(&roomy);
    pthread_attr_setstacksize(&roomy, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int started = 0;
    while (started < count && started < MOST_THREADS &&
           pthread_create(threads + started, &roomy, function, argument) == 0)
        ++started;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&roomy);
    return started;
}

static void with_threads(int count, void* (*function)(void*), void* argument) {
    pthread_t threads[MOST_THREADS];
    int started = start(threads, count - 1, function, argument);
    function(argument);
    for (int i = 0; i < started; ++i) pthread_join(threads[i], NULL);
}

static void run_together(Job* job, int threads) {
    Team team = {.job = job, .threads = threads, .last = (job->last - job->step) * job->phases};
    team.taken = calloc(job->ends[job->phases - 1], sizeof *team.taken);
    if (!team.taken) {
        run_alone(job);
        return;
    }
    pthread_mutex_init(&team.lock, NULL);
    pthread_cond_init(&team.opened, NULL);
    ALONE[0](job);
    with_threads(threads, work, &team);
    pthread_cond_destroy(&team.opened);
    pthread_mutex_destroy(&team.lock);
    free(team.taken);
}

void run(Job* job, int threads) {
    const __typeof__(flush_to_zero()) before = flush_to_zero();
    if (threads < 2 || job->phases == 0 || job->step >= job->last)
        run_alone(job);
    else
        run_together(job, threads);
    put_back(before);
}

/* Jobs that have nothing to do with each other, each on one thread: what a job does not have of
   its own, where its address is none, lies in the lane of the thread. */

typedef struct {
    Job* jobs;
    Size count;
    void** lanes;
    Size nodes;
    _Atomic Size next;
    _Atomic int joined;
} Jobs;

static void run_in_lane(Job* job, void** lane, Size nodes) {
    void *a[nodes], **own = job->a;
    for (Size i = 0; i < nodes; ++i) a[i] = own[i] ? own[i] : lane[i];
    job->a = a;
    run_alone(job);
    job->a = own;
    for (Size i = 0; i < nodes; ++i)
        if (own[i]) own[i] = a[i];
}

static void* take_jobs(void* of) {
    Jobs* all = of;
    void** lane = all->lanes + atomic_fetch_add(&all->joined, 1) * all->nodes;
    flush_to_zero();
    for (Size next; (next = atomic_fetch_add(&all->next, 1)) < all->count;)
        run_in_lane(all->jobs + next, lane, all->nodes);
    return NULL;
}

void run_each(Job* jobs, Size count, int threads, void** lanes, Size nodes) {
    const __typeof__(flush_to_zero()) before = flush_to_zero();
    Jobs all = {.jobs = jobs, .count = count, .lanes = lanes, .nodes = nodes};
    with_threads(threads < count ? threads : (int)count, take_jobs, &all);
    put_back(before);
}
