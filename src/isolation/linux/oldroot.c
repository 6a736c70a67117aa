/*
 * Letting go of the host's root, in the child that becomes a pot's PID 1
 * (mounts.c): what goes with it, and taking it off, for which the kernel needs
 * a grace period that nothing else has to wait for.  Raw system calls only.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>

#include "base/linux/rawsys.h"
#include "isolation/linux/child.h"

#define MNT_DETACH_FLAG 2
#define WAIT_ALL_FLAG 0x40000000

/*
 * The detached mounts that have done their part go with the host's. Else the
 * caller, when it closes them, waits for a grace period for each. Where one
 * cannot be put there, that is what happens.
 */
void
old_root_leave(const struct spawn_ctx *ctx)
{
	raw(__NR_move_mount, ctx->exe_fd, "", AT_FDCWD, "/proc/cmdline", MOVE_MOUNT_F_EMPTY_PATH);
	for (size_t i = 0; i < ctx->spec->nspent; i++)
		raw(__NR_move_mount, ctx->spec->spent[i], "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH);
}

static int
old_root_unmount(void *arg)
{
	struct spawn_ctx *ctx = arg;

	ctx->old_root = (int)raw(__NR_umount2, ".", MNT_DETACH_FLAG);
	return 0;
}

void
old_root_begin(struct spawn_ctx *ctx)
{
	/* Given, so that the command is number 2 nevertheless. */
	int tid = 2;
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_FILES,
		.stack = (uint64_t)(uintptr_t)ctx->stack_u,
		.stack_size = CHILD_STACK,
		.set_tid = (uint64_t)(uintptr_t)&tid,
		.set_tid_size = 1,
	};

	ctx->unmounting = raw_clone3(&a, old_root_unmount, ctx);
	if (ctx->unmounting < 0)
		old_root_unmount(ctx);
}

bool
old_root_gone(void)
{
	struct statx root, top;

	return raw(__NR_statx, AT_FDCWD, "/", 0, STATX_MNT_ID, &root) == 0 &&
	    raw(__NR_statx, AT_FDCWD, "/..", 0, STATX_MNT_ID, &top) == 0 &&
	    (root.stx_mask & top.stx_mask & STATX_MNT_ID) != 0 && root.stx_mnt_id == top.stx_mnt_id;
}

int
old_root_end(struct spawn_ctx *ctx, struct child_fail *f)
{
	while (ctx->unmounting > 0 && raw(__NR_wait4, ctx->unmounting, 0, WAIT_ALL_FLAG, 0) == -EINTR)
		;
	ctx->unmounting = 0;
	return ctx->old_root < 0 ? child_failed(f, STEP_OLDROOT, ctx->old_root, "/") : 0;
}
