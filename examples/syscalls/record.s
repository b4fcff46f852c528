# Records system calls, one entry of `events` each, until it is full: how events.json was made.

.struct event
.field ts, u64
.field nr, u64
.field pid, u32
.field tgid, u32
.field comm, char, 16
.ends
.map events, type=array, key=u32, value=event, max_entries=65536
.map next, type=array, key=u32, value=u64, max_entries=1

.section "raw_tp/sys_enter","ax",@progbits
.globl record_syscall
record_syscall:
        r6 = r1                         # { struct pt_regs *regs; long nr }
        r1 = 0
        *(u32 *)(r10 - 4) = r1
        r1 = next ll
        r2 = r10
        r2 += -4
        call bpf_map_lookup_elem
        if r0 == 0 goto done
        r7 = 1
        r7 = atomic_fetch_add((u64 *)(r0 + 0), r7)
        if r7 >= 65536 goto done
        *(u32 *)(r10 - 4) = r7          # our place in `events`

        r1 = events ll
        r2 = r10
        r2 += -4
        call bpf_map_lookup_elem
        if r0 == 0 goto done
        r8 = r0
        r1 = *(u64 *)(r6 + 8)
        *(u64 *)(r8 + 8) = r1
        call bpf_ktime_get_ns
        *(u64 *)(r8 + 0) = r0
        call bpf_get_current_pid_tgid
        *(u32 *)(r8 + 16) = r0
        r0 >>= 32
        *(u32 *)(r8 + 20) = r0
        r1 = r8
        r1 += 24
        r2 = 16
        call bpf_get_current_comm
done:
        r0 = 0
        exit

.section license,"aw",@progbits
        .asciz "GPL"
