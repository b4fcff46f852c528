# Counts the system calls of every process: runs at each entry into the kernel and adds one to the
# entry of the process in `counts`.
#
# A process is named by its main thread (thread id = process id), which writes its name anew at each
# call: after fork the name is still the parent's, exec changes it. Other threads never write the
# name: what they call themselves is not the name of the process. An entry that another thread made
# has no name until the main thread makes a call.

.struct stat
.field count, u64
.field comm, char, 16
.ends
.map counts, type=hash, key=u32, value=stat, max_entries=10240

.section "raw_tp/sys_enter","ax",@progbits
.globl count_syscall
count_syscall:
        call bpf_get_current_pid_tgid
        r6 = r0
        r6 <<= 32
        r6 >>= 32                       # r6 = thread id
        r0 >>= 32
        r7 = r0                         # r7 = process id
        *(u32 *)(r10 - 4) = r7          # the key

        r1 = counts ll
        r2 = r10
        r2 += -4
        call bpf_map_lookup_elem
        if r0 != 0 goto count

# First call of this process: a new value on the stack, { count = 1, comm = "" or our name }.
        r1 = 1
        *(u64 *)(r10 - 32) = r1
        r1 = 0
        *(u64 *)(r10 - 24) = r1
        *(u64 *)(r10 - 16) = r1
        if r6 != r7 goto insert
        r1 = r10
        r1 += -24
        r2 = 16
        call bpf_get_current_comm
insert:
        r1 = counts ll
        r2 = r10
        r2 += -4
        r3 = r10
        r3 += -32
        r4 = 1                          # BPF_NOEXIST: another thread may have been faster
        call bpf_map_update_elem
        if r0 == 0 goto done
        r1 = counts ll
        r2 = r10
        r2 += -4
        call bpf_map_lookup_elem        # it was: its entry is there now
        if r0 == 0 goto done            # no: the map is full

# r0 points to the entry. Calls of other threads may count at the same time: the addition is atomic.
count:
        r1 = 1
        lock *(u64 *)(r0 + 0) += r1
        if r6 != r7 goto done
        r1 = r0
        r1 += 8
        r2 = 16
        call bpf_get_current_comm       # straight into the entry
done:
        r0 = 0
        exit

.section license,"aw",@progbits
        .asciz "GPL"
