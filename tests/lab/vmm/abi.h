/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What cetvmm and its guests agree on: the memory map, the report ports, the parameter block.
 * Read by C and by the assembler, so: numbers only.
 */
#pragma once

/* Memory, one flat map, virtual = physical. Each page of the pools serves one vCPU. */
#define MEM_BYTES 0x400000
#define MEM_PML4 0x1000
#define MEM_PDPT 0x2000
#define MEM_PD 0x3000
#define MEM_PT 0x4000
#define MEM_IDT 0x5000
#define MEM_GDT 0x6000
#define MEM_PARAM 0x7000
#define MEM_TSS 0x8000 /* 256 bytes a vCPU */
#define MEM_CODE 0x10000
#define MEM_USER_CODE 0x38000
#define MEM_USER_STACK 0x48000
#define MEM_STACK 0x60000
#define MEM_SHSTK 0x80000 /* supervisor shadow stacks: W=0, D=1 */
#define MEM_USER_SHSTK 0x90000
#define MEM_NESTED 0x100000 /* free for guests that run guests; 1 MiB */
#define MEM_PAGE 0x1000
#define MAX_VCPUS 8

/* A supervisor shadow stack starts at its token, the last 8 bytes of the page. */
#define SHSTK_TOKEN 0xff8

/* Selectors; the user ones carry RPL 3. A TSS descriptor takes two slots a vCPU. */
#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_USER_CODE 0x1b
#define SEL_USER_DATA 0x23
#define SEL_TSS 0x28

/* Parameter block, 64 bytes a vCPU at MEM_PARAM; the VMM fills it before the guest starts. */
#define PARAM_BYTES 64
#define PARAM_COUNT 0	     /* u64: how often to do what the guest repeats */
#define PARAM_VCPU 8	     /* u32 */
#define PARAM_VCPUS 12	     /* u32 */
#define PARAM_STOP 16	     /* u64: not 0 when the guest's loop shall end */
#define PARAM_CHECK_MSR 24   /* u32: for PORT_CHECK_MSR */
#define PARAM_VECTOR 28	     /* u32: the last exception of a guest that looks for missing CET */
#define PARAM_CHECK_VALUE 32 /* u64: for PORT_CHECK_MSR and PORT_CHECK_SSP */
#define PARAM_PROGRESS 40    /* u64: rounds done so far, kept by the guest */
#define PARAM_FAULTS 48	     /* u64: exceptions taken so far, kept by the guest */
#define PARAM_LAST 56	     /* u32: the guest's last PORT_FAULT */
#define PARAM_PENDING 60     /* u32: faults like it that are not reported yet */

/* Reports: a 32-bit OUT to one of these. */
#define PORT_DONE 0x5100      /* 0: success, else the line of the guest's source that failed */
#define PORT_FAULT 0x5101     /* vector << 24 | CPL << 16 | error code, once for each exception */
#define PORT_FAULT_RIP 0x5102 /* after PORT_FAULT */
#define PORT_FAULT_SSP 0x5103 /* after PORT_FAULT_RIP: SSP as the handler found it, or 0 */
#define PORT_FEATURES 0x5104  /* what the guest's CPUID shows: 1 SHSTK, 2 IBT, 4 VMX */
#define PORT_NOTE 0x5105      /* any value, printed with --verbose */
#define PORT_CHECK_MSR 0x5106 /* the VMM compares KVM_GET_MSRS with the parameter block */
#define PORT_CHECK_SSP 0x5107 /* the VMM compares KVM_GET_ONE_REG with the parameter block */
#define PORT_INJECT 0x5108    /* the VMM injects #CP with this error code */
#define PORT_MIGRATE 0x5109   /* the VMM moves the whole state into a new VM and goes on there */
#define PORT_FAULTS 0x510a    /* this many more faults like the last PORT_FAULT, unreported ones */
#define PORT_BENCH 0x510b     /* the BENCH_... that the next PORT_TICKS is about */
#define PORT_TICKS 0x510c

#define BENCH_EMPTY 0	      /* reading the TSC twice */
#define BENCH_CPUID 1	      /* an exit that KVM handles itself */
#define BENCH_OUT 2	      /* an exit to the VMM */
#define BENCH_RDMSR 3	      /* IA32_S_CET */
#define BENCH_WRMSR 4	      /* IA32_U_CET */
#define BENCH_RDMSR_TRAPPED 5 /* IA32_INT_SSP_TAB, which KVM always intercepts */
#define BENCH_CP 6	      /* from the branch to the handler */
#define BENCHES 7

#define FEATURE_SHSTK 1
#define FEATURE_IBT 2
#define FEATURE_VMX 4

/* Intel SDM Vol. 4, "Architectural MSRs". */
#define MSR_U_CET 0x6a0
#define MSR_S_CET 0x6a2
#define MSR_PL0_SSP 0x6a4
#define MSR_PL1_SSP 0x6a5
#define MSR_PL2_SSP 0x6a6
#define MSR_PL3_SSP 0x6a7
#define MSR_INT_SSP_TAB 0x6a8
#define MSR_XSS 0xda0

#define XSS_CET_U 0x800
#define XSS_CET_S 0x1000

/* IA32_U_CET and IA32_S_CET, SDM Vol. 1 "Control-flow Enforcement Technology". */
#define CET_SH_STK_EN 0x1
#define CET_WR_SHSTK_EN 0x2
#define CET_ENDBR_EN 0x4
#define CET_TRACKER 0x800

#define CR4_CET_BIT 23
#define VEC_UD 6
#define VEC_DF 8
#define VEC_GP 13
#define VEC_PF 14
#define VEC_CP 21

#define CP_NEAR_RET 1
#define CP_FAR_RET 2
#define CP_ENDBRANCH 3
#define CP_RSTORSSP 4
#define CP_SETSSBSY 5
