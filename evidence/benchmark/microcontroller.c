/* Bare metal for an emulated Cortex-M4F: microcontroller.py writes programs.h and compiles this. */
#include <stdint.h>
#include "programs.h" /* ROWS, NUMBERS, LOOP, BITS; the programs' declarations, and CALLS of them */

static const union { uint32_t bits[NUMBERS]; float x[NUMBERS]; } given = {{BITS}};
static double wide[NUMBERS], y_double[ROWS];
static float y_float[ROWS];
static volatile uint32_t *const systick = (uint32_t *)0xE000E010; /* control, reload, now */

static void host(int what, const void *with) /* a call to QEMU: semihosting */
{
    register int r0 __asm__("r0") = what;
    register const void *r1 __asm__("r1") = with;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static void say(uint32_t number, char end)
{
    char text[10] = {0};
    for (int i = 0; i < 8; i++)
        text[i] = "0123456789abcdef"[number >> (28 - 4 * i) & 15];
    text[8] = end;
    host(4, text);
}

/* A line for each program: ticks of all rows, and the outputs, as bits of floats. */
#define MEASURE(type, x)                                                                           \
    __attribute__((noinline)) static void measure_##type(void (*f)(const type *, type *), int step) \
    {                                                                                              \
        uint32_t start = systick[2];                                                               \
        for (int n = 0; n < ROWS; n++)                                                             \
            f(x + n * step, y_##type + n);                                                         \
        say((start - systick[2]) & 0xFFFFFF, ' ');                                                 \
        for (int n = 0; n < ROWS; n++) {                                                           \
            union { float number; uint32_t bits; } last = {(float)y_##type[n]};                    \
            say(last.bits, n + 1 < ROWS ? ' ' : '\n');                                             \
        }                                                                                          \
    }
MEASURE(float, given.x)
MEASURE(double, wide)
__attribute__((noinline)) static void empty_float(const float *x, float *y) { (void)x, (void)y; }
__attribute__((noinline)) static void empty_double(const double *x, double *y) { (void)x, (void)y; }

__attribute__((noinline)) static void run(void)
{
    for (int n = 0; n < NUMBERS; n++)
        wide[n] = given.x[n];
    systick[1] = systick[2] = 0xFFFFFF;
    systick[0] = 5;
    int turns = LOOP;
    uint32_t start = systick[2];
    __asm__ volatile("1: subs %0, #1\nbne 1b" : "+r"(turns) : : "cc");
    say((start - systick[2]) & 0xFFFFFF, '\n');
    measure_float(empty_float, 1);
    measure_double(empty_double, 1);
    CALLS
    host(0x18, (void *)0x20026); /* the end */
}

static void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xF << 20; /* lets the FPU in */
    __asm__ volatile("dsb\nisb");
    run();
}
__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    (void *)0x20400000, (void *)reset}; /* the stack's top, and where it starts */
