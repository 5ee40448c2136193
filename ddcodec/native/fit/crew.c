/* The threads of a fit. They sleep between passes; in a pass they wait for one another, first awake, then asleep. */
#define _POSIX_C_SOURCE 200809L
#include <stdatomic.h>

/* Looks at the barrier before a waiting thread goes to sleep: some 20 microseconds. Others may want its core. */
#define LOOKS 2000

#if defined(_WIN32)
#include <process.h>
#include <windows.h>
typedef SRWLOCK lock;
typedef CONDITION_VARIABLE signal;
typedef HANDLE thread;
static void make_lock(lock *lock) { InitializeSRWLock(lock); }
static void take_lock(lock *lock) { AcquireSRWLockExclusive(lock); }
static void give_lock(lock *lock) { ReleaseSRWLockExclusive(lock); }
static void end_lock(lock *lock) { (void)lock; }
static void make_signal(signal *signal) { InitializeConditionVariable(signal); }
static void await(signal *signal, lock *lock) { SleepConditionVariableSRW(signal, lock, INFINITE, 0); }
static void wake_all(signal *signal) { WakeAllConditionVariable(signal); }
static void end_signal(signal *signal) { (void)signal; }
#define RESULT unsigned __stdcall
static int start_thread(thread *thread, unsigned(__stdcall *work)(void *), void *own) {
    *thread = (HANDLE)_beginthreadex(NULL, 0, work, own, 0, NULL);
    return *thread != NULL;
}
static void end_thread(thread thread) {
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}
#else
#include <pthread.h>
typedef pthread_mutex_t lock;
typedef pthread_cond_t signal;
typedef pthread_t thread;
static void make_lock(lock *lock) { pthread_mutex_init(lock, NULL); }
static void take_lock(lock *lock) { pthread_mutex_lock(lock); }
static void give_lock(lock *lock) { pthread_mutex_unlock(lock); }
static void end_lock(lock *lock) { pthread_mutex_destroy(lock); }
static void make_signal(signal *signal) { pthread_cond_init(signal, NULL); }
static void await(signal *signal, lock *lock) { pthread_cond_wait(signal, lock); }
static void wake_all(signal *signal) { pthread_cond_broadcast(signal); }
static void end_signal(signal *signal) { pthread_cond_destroy(signal); }
#define RESULT void *
static int start_thread(thread *thread, void *(*work)(void *), void *own) {
    return !pthread_create(thread, NULL, work, own);
}
static void end_thread(thread thread) { pthread_join(thread, NULL); }
#endif

#include "plan.h"

/* The threads beside the caller's, which is the first of them. */
struct crew {
    int count, started;
    lock lock;
    signal signal;
    atomic_int here;    /* threads that wait at the barrier */
    atomic_uint round;  /* of waiting */
    atomic_uint passes; /* that have begun */
    atomic_int is_over;
    thread threads[];
};

uint64_t crew_bytes(int threads) { return sizeof(crew) + sizeof(thread) * (uint64_t)threads; }

/* Let a moment pass. */
static inline void rest(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Wait until a number is no longer what it was. */
static void wait_for_change(crew *crew, atomic_uint *number, unsigned before) {
    for (int look = 0; look < LOOKS; look++) {
        if (atomic_load(number) != before) return;
        rest();
    }
    take_lock(&crew->lock);
    while (atomic_load(number) == before) await(&crew->signal, &crew->lock);
    give_lock(&crew->lock);
}

static void change(crew *crew, atomic_uint *number) {
    take_lock(&crew->lock);
    atomic_fetch_add(number, 1);
    wake_all(&crew->signal);
    give_lock(&crew->lock);
}

void wait_for_all(worker *self) {
    crew *crew = self->fit->crew;
    if (crew->count == 1) return;
    unsigned round = atomic_load(&crew->round);
    if (atomic_fetch_add(&crew->here, 1) < crew->count - 1) {
        wait_for_change(crew, &crew->round, round);
        return;
    }
    atomic_store(&crew->here, 0);
    change(crew, &crew->round);
}

static RESULT work(void *given) {
    worker *self = given;
    crew *crew = self->fit->crew;
    for (unsigned pass = 0;; pass++) {
        wait_for_change(crew, &crew->passes, pass);
        if (atomic_load(&crew->is_over)) return 0;
        self->fit->run_pass(self);
        wait_for_all(self);
    }
}

int start_crew(struct ddc_fit *fit) {
    crew *crew = fit->crew;
    crew->count = fit->threads;
    atomic_init(&crew->here, 0);
    atomic_init(&crew->round, 0);
    atomic_init(&crew->passes, 0);
    atomic_init(&crew->is_over, 0);
    make_lock(&crew->lock);
    make_signal(&crew->signal);
    for (int i = 1; i < crew->count; i++) {
        if (!start_thread(&crew->threads[i], work, &fit->workers[i])) {
            end_crew(crew);
            return 0;
        }
        crew->started++;
    }
    return 1;
}

void run_crew(struct ddc_fit *fit) {
    change(fit->crew, &fit->crew->passes);
    fit->run_pass(&fit->workers[0]);
    wait_for_all(&fit->workers[0]);
}

void end_crew(crew *crew) {
    atomic_store(&crew->is_over, 1);
    change(crew, &crew->passes);
    for (int i = 1; i <= crew->started; i++) end_thread(crew->threads[i]);
    end_signal(&crew->signal);
    end_lock(&crew->lock);
}
