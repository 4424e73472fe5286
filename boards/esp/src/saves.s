# __riscv_save_N keeps `ra` and the first N of `s0` to `s11` on the stack and comes back through `t0`;
# __riscv_restore_N fetches them again and returns for the function that calls it. Where each lies is what LLVM's
# RISCVFrameLowering reckons with: `ra` uppermost, then `s0`, `s1` and so on downwards, the stack moved in steps of 16
# bytes. Registers are kept by fours, more of them than are asked for. Besides `t0`, only `t1` is free.

    .macro entries kind, numbers:vararg
    .irp number, \numbers
    .global __riscv_\kind\()_\number
    .type __riscv_\kind\()_\number, @function
__riscv_\kind\()_\number:
    .endr
    .endm

    .section .text.riscv_save, "ax", @progbits
    entries save, 12
    addi sp, sp, -64
    sw s11, 12(sp)
    li t1, 0                    # what of the 64 bytes is not needed
    j 1f
    entries save, 8, 9, 10, 11
    addi sp, sp, -64
    li t1, 16
1:  sw s10, 16(sp)
    sw s9, 20(sp)
    sw s8, 24(sp)
    sw s7, 28(sp)
    j 2f
    entries save, 4, 5, 6, 7
    addi sp, sp, -64
    li t1, 32
2:  sw s6, 32(sp)
    sw s5, 36(sp)
    sw s4, 40(sp)
    sw s3, 44(sp)
    sw s2, 48(sp)
    sw s1, 52(sp)
    sw s0, 56(sp)
    sw ra, 60(sp)
    add sp, sp, t1
    jr t0
    entries save, 0, 1, 2, 3
    addi sp, sp, -16
    sw s2, 0(sp)
    sw s1, 4(sp)
    sw s0, 8(sp)
    sw ra, 12(sp)
    jr t0

    .section .text.riscv_restore, "ax", @progbits
    entries restore, 12
    lw s11, 12(sp)
    addi sp, sp, 16
    entries restore, 8, 9, 10, 11
    lw s10, 0(sp)
    lw s9, 4(sp)
    lw s8, 8(sp)
    lw s7, 12(sp)
    addi sp, sp, 16
    entries restore, 4, 5, 6, 7
    lw s6, 0(sp)
    lw s5, 4(sp)
    lw s4, 8(sp)
    lw s3, 12(sp)
    addi sp, sp, 16
    entries restore, 0, 1, 2, 3
    lw s2, 0(sp)
    lw s1, 4(sp)
    lw s0, 8(sp)
    lw ra, 12(sp)
    addi sp, sp, 16
    ret
    .text
