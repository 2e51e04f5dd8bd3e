# Berth's RuntimeDefault: the system calls that a container may make. All others fail with EPERM.
#
# A line "[name]" begins a group. "always": for every container. "CAP_…": for containers that have one of
# these capabilities (several in one line: any of them). "unless CAP_…": for those that have none of them.
# Names that an architecture does not have are left out there. A name may carry one condition:
# name(argument & mask == value), name(argument == value), name(argument != value), numbers decimal or 0x.
# "errno NAME": the group's calls fail with this error instead of being allowed.

[always]
# Reading, writing, seeking
read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2
lseek _llseek sendfile sendfile64 splice tee vmsplice copy_file_range readahead
sync syncfs fsync fdatasync sync_file_range sync_file_range2
fadvise64 fadvise64_64 arm_fadvise64_64 fallocate
# Opening, closing, duplicating
open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock
pipe pipe2 ioctl memfd_create
# Names and directories
mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat
readlink readlinkat mknod mknodat getdents getdents64 chdir fchdir getcwd umask
# Attributes
stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64
access faccessat faccessat2 chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 lchown lchown32 fchownat
truncate truncate64 ftruncate ftruncate64 utime utimes utimensat utimensat_time64 futimesat
getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr
removexattr lremovexattr fremovexattr getxattrat setxattrat listxattrat removexattrat
statmount listmount name_to_handle_at
# Being told
poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64
epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2
eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime timerfd_settime64 timerfd_gettime timerfd_gettime64
inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64
# Sockets; AF_VSOCK reaches the machine below
socket(0 != 40)
socketpair socketcall bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64
# Memory
brk mmap mmap2 munmap mremap mprotect madvise mlock mlock2 mlockall munlock munlockall mincore msync
membarrier remap_file_pages map_shadow_stack mseal pkey_alloc pkey_free pkey_mprotect process_mrelease
memfd_secret cachestat
# Processes and threads
fork vfork execve execveat exit exit_group wait4 waitid waitpid
getpid getppid gettid getpgid getpgrp getsid setpgid setsid set_tid_address set_robust_list get_robust_list
kill tkill tgkill pidfd_open pidfd_send_signal prctl ptrace process_vm_readv process_vm_writev rseq
set_thread_area get_thread_area sched_yield
futex futex_time64 futex_waitv futex_wake futex_wait futex_requeue
# Signals
rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn sigreturn sigaction sigprocmask sigpending sigsuspend signal
sigaltstack pause alarm restart_syscall
# Users and privileges, as far as the capabilities go
getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32
getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32
setresuid setresuid32 setresgid setresgid32 setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32
capget capset seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
# Limits, priorities, use
getrlimit ugetrlimit setrlimit prlimit64 getrusage times getpriority setpriority nice
sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam
sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min
sched_rr_get_interval sched_rr_get_interval_time64 ioprio_get ioprio_set
# Time
time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64
clock_nanosleep clock_nanosleep_time64 nanosleep getitimer setitimer adjtimex clock_adjtime clock_adjtime64
timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
# Inter-process communication
ipc shmget shmat shmdt shmctl semget semop semctl semtimedop semtimedop_time64 msgget msgsnd msgrcv msgctl
mq_open mq_unlink mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64 mq_notify mq_getsetattr
# The rest
uname sysinfo getrandom getcpu
arch_prctl modify_ldt arm_sync_file_range breakpoint cacheflush set_tls
# Execution domains: Linux, 32-bit Linux, both also as if before 3.0, and the question
personality(0 == 0x0)
personality(0 == 0x8)
personality(0 == 0x20000)
personality(0 == 0x20008)
personality(0 == 0xffffffff)

[unless CAP_SYS_ADMIN]
# Threads and processes, but no new namespaces (CLONE_NEW*)
clone(0 & 0x7e020000 == 0)

[unless CAP_SYS_ADMIN errno ENOSYS]
# Its flags lie in memory, where no filter sees them; the C library falls back to clone
clone3

[CAP_SYS_ADMIN]
bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount
open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare

[CAP_SYS_CHROOT]
chroot

[CAP_DAC_READ_SEARCH]
open_by_handle_at

[CAP_SYS_BOOT]
reboot

[CAP_SYS_MODULE]
delete_module finit_module init_module

[CAP_SYS_PACCT]
acct

[CAP_SYS_PTRACE]
kcmp pidfd_getfd process_madvise

[CAP_SYS_RAWIO]
ioperm iopl

[CAP_SYS_TIME]
clock_settime clock_settime64 settimeofday stime

[CAP_SYS_TTY_CONFIG]
vhangup

[CAP_SYS_NICE]
get_mempolicy mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages

[CAP_SYSLOG]
syslog

[CAP_BPF]
bpf

[CAP_PERFMON]
perf_event_open
