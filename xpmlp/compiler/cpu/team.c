/* One thread: all pieces in their order. */

static void end_step(Job* job) {
    job->metrics += job->metrics_bytes;
    job->rates += job->rate_bytes;
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
   Nobody waits for a thread that has no piece. ticket: the number of the phase since the start,
   and in the lower half the next piece to be taken. */

enum { TURNS = 2000 };

typedef struct {
    Job* job;
    uint64_t phases;
    _Atomic uint64_t ticket;
    _Atomic Size done;
    _Atomic int asleep;
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
    atomic_store(&team->ticket, phase << 32);
    if (atomic_load(&team->asleep)) {
        pthread_mutex_lock(&team->lock);
        pthread_cond_broadcast(&team->opened);
        pthread_mutex_unlock(&team->lock);
    }
}

static void wait_for_next(Team* team, uint64_t phase) {
    for (int turn = 0; turn < TURNS; ++turn) {
        if (atomic_load_explicit(&team->ticket, memory_order_relaxed) >> 32 != phase) return;
        pause_briefly();
    }
    pthread_mutex_lock(&team->lock);
    atomic_fetch_add(&team->asleep, 1);
    while (atomic_load(&team->ticket) >> 32 == phase)
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

static void* work(void* of) {
    Team* team = of;
    Job* job = team->job;
    flush_to_zero();
    for (;;) {
        uint64_t ticket = atomic_load(&team->ticket), number = ticket >> 32;
        if (number == team->phases) return NULL;
        Size phase = number % job->phases, next = ticket & 0xffffffff;
        Size first = phase ? job->ends[phase - 1] : 0, count = job->ends[phase] - first;
        if (next >= count) {
            wait_for_next(team, number);
        } else if (atomic_compare_exchange_weak(&team->ticket, &ticket, ticket + 1)) {
            run_piece(job, job->pieces + first + next);
            if (atomic_fetch_add(&team->done, 1) + 1 == count) {
                end_phase(job, phase);
                open_phase(team, number + 1);
            }
        }
    }
}

/* Threads that live as long as a call, deaf to signals, which are the interpreter's. */

enum { MOST_THREADS = 1024 };

static int start(pthread_t* threads, int count, void* (*function)(void*), void* argument) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int started = 0;
    while (started < count && started < MOST_THREADS &&
           pthread_create(threads + started, NULL, function, argument) == 0)
        ++started;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void with_threads(int count, void* (*function)(void*), void* argument) {
    pthread_t threads[MOST_THREADS];
    int started = start(threads, count - 1, function, argument);
    function(argument);
    for (int i = 0; i < started; ++i) pthread_join(threads[i], NULL);
}

static void run_together(Job* job, int threads) {
    Team team = {.job = job, .phases = (job->last - job->step) * job->phases};
    pthread_mutex_init(&team.lock, NULL);
    pthread_cond_init(&team.opened, NULL);
    ALONE[0](job);
    with_threads(threads, work, &team);
    pthread_cond_destroy(&team.opened);
    pthread_mutex_destroy(&team.lock);
}

void run(Job* job, int threads) {
    const __typeof__(flush_to_zero()) before = flush_to_zero();
    if (threads < 2 || job->phases == 0 || job->step >= job->last)
        run_alone(job);
    else
        run_together(job, threads);
    put_back(before);
}

/* Jobs that have nothing to do with each other, each on one thread. */

typedef struct {
    Job** jobs;
    Size count;
    _Atomic Size next;
} Jobs;

static void* take_jobs(void* of) {
    Jobs* jobs = of;
    flush_to_zero();
    for (Size next; (next = atomic_fetch_add(&jobs->next, 1)) < jobs->count;)
        run_alone(jobs->jobs[next]);
    return NULL;
}

void run_each(Job** jobs, Size count, int threads) {
    const __typeof__(flush_to_zero()) before = flush_to_zero();
    Jobs all = {.jobs = jobs, .count = count};
    with_threads(threads < count ? threads : (int)count, take_jobs, &all);
    put_back(before);
}
