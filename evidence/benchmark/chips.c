/* Bare metal for emulated chips: chips.py writes program.h, compiles this, and reads what it says.

Inputs come from a generator that chips.py has, too: integers from 0 to 65535, or the numbers that
they stand for. Outputs go to the host as they are, in blocks; last comes a line of counts. */
#include <stdint.h>
#include "program.h" /* ROWS, BLOCK, INPUTS, OUTPUTS, LOOP, number, FILE_NAME; program's declaration */

#define PAINTED 2048 /* bytes below the stack's top of now, in which the program may leave marks */
static volatile uint32_t *const systick = (uint32_t *)0xE000E010; /* control, reload, now */
static number x[BLOCK * INPUTS], y[BLOCK * OUTPUTS];
static uint32_t state = 1;

static int host(int what, const void *with) /* a call to QEMU: semihosting */
{
    register int r0 __asm__("r0") = what;
    register const void *r1 __asm__("r1") = with;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uint32_t draw(void) /* xorshift, Marsaglia 2003 */
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state >> 16;
}

static void write_all(int file, const void *data, uint32_t bytes)
{
    const uintptr_t how[] = {(uintptr_t)file, (uintptr_t)data, bytes};
    host(5, how);
}

__attribute__((noinline)) static void empty(const number *a, number *b) { (void)a, (void)b; }

__attribute__((noinline)) static uint32_t ticks(void (*f)(const number *, number *), int rows)
{
    const uint32_t start = systick[2];
    for (int n = 0; n < rows; n++)
        f(x + n * INPUTS, y + n * OUTPUTS);
    return (start - systick[2]) & 0xFFFFFF;
}

/* Bytes of stack that a call takes: how many of those painted before are not as they were. */
__attribute__((noinline)) static uint32_t depth(void (*f)(const number *, number *))
{
    volatile uint32_t *top;
    __asm__ volatile("mov %0, sp" : "=r"(top));
    for (int n = 1; n <= PAINTED / 4; n++)
        top[-n] = 0xA5A5A5A5;
    f(x, y);
    uint32_t n = PAINTED / 4;
    while (n && top[-(int)n] == 0xA5A5A5A5)
        n--;
    return 4 * n;
}

__attribute__((noinline)) static void run(void)
{
    static const char name[] = FILE_NAME;
    const uintptr_t how[] = {(uintptr_t)name, 5, sizeof name - 1};
    const int file = host(1, how);
    systick[1] = systick[2] = 0xFFFFFF;
    systick[0] = 5;
    int turns = LOOP;
    uint32_t start = systick[2];
    __asm__ volatile(".syntax unified\n1: subs %0, #1\nbne 1b" : "+l"(turns) : : "cc");
    uint32_t said[4] = {(start - systick[2]) & 0xFFFFFF, 0, 0, 0};
    for (int done = 0; done < ROWS; done += BLOCK) {
        for (int n = 0; n < BLOCK * INPUTS; n++)
            x[n] = AS_INPUT(draw());
        said[1] += ticks(program, BLOCK);
        said[2] += ticks(empty, BLOCK);
        write_all(file, y, sizeof y);
    }
    said[3] = depth(program) - depth(empty);
    write_all(file, said, sizeof said);
    host(0x18, (void *)0x20026); /* the end */
}

static void reset(void)
{
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88 |= 0xF << 20; /* lets the FPU in */
    __asm__ volatile("dsb\nisb");
#endif
    run();
}
__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    (void *)STACK, (void *)reset}; /* the stack's top, and where it starts */
