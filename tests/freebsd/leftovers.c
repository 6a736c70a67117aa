/*
 * What processes of a pot leave in the kernel is gone with it, and nothing of
 * the host's or of another pot's is: POSIX shared memory, and System V's
 * objects in the host's namespace. A jail that cannot go yet is told of, and
 * does not stand in the way.
 */
#define _WANT_SEMUN

#include "isolation/freebsd/jail.h"
#include "lab.h"

#include <sys/param.h>
#include <sys/ipc.h>
#include <sys/jail.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- inside */

static int
in_wait(const char *arg)
{
	for (;;)
		pause();
}

/* Leaves one of each, and says their numbers. */
static int
in_leave(const char *arg)
{
	int shm = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600), sem = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600),
	    msg = msgget(IPC_PRIVATE, IPC_CREAT | 0600), fd = shm_open("/left", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, 4096) != 0)
		return 1;
	printf("left %d %d %d\n", shm, sem, msg);
	return shm >= 0 && sem >= 0 && msg >= 0 ? 0 : errno == ENOSYS ? 78 : 2;
}

static const struct inside table[] = { { "wait", in_wait }, { "leave", in_leave }, { NULL, NULL } };

/* ---- outside */

static bool
has_shm(const char *path)
{
	int fd = shm_open(path, O_RDONLY, 0);

	fd_close(fd);
	return fd >= 0;
}

static bool
is_dying(const char *jail)
{
	char name[JAIL_NAME_MAX];

	for (int jid = 0; (jid = jail_next(jid, name, sizeof(name))) > 0;)
		if (strcmp(name, jail) == 0 && jail_is_dying(jid))
			return true;
	return false;
}

/* A pot whose main process leaves objects, in the host's namespace, and stays. */
static bool
begin(struct lab *l, const char *argv0, const char *name, const char *word)
{
	struct err e = ERR_INIT;

	lab_init(l, argv0, name);
	lab_command(l, word, NULL);
	lab_attr(l, "sysvshm", "inherit");
	lab_attr(l, "sysvsem", "inherit");
	lab_attr(l, "sysvmsg", "inherit");
	return tap_fine(lab_start(l, &e), &e, "%s: a pot in the host's System V namespace", name);
}

static void
end(struct lab *l)
{
	(void)!iso_signal(&l->ref, SIGKILL, NULL);
	(void)lab_wait(l);
	lab_end(l);
}

static void
objects(const char *argv0)
{
	char path[3][MAXPATHLEN];
	struct lab leaver, other;
	struct err e = ERR_INIT;
	int id[3] = { -1, -1, -1 }, host = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600), fd;
	struct shmid_ds shm;
	struct semid_ds sem;
	struct msqid_ds msg;
	union semun arg = { .buf = &sem };

	if (host < 0) {
		tap_skip("this kernel has none", "System V objects");
		return;
	}
	fd = shm_open("/pot-lab-host", O_RDWR | O_CREAT, 0600);
	tap_ok(fd >= 0, "shared memory of the host's");
	fd_close(fd);
	begin(&other, argv0, "other", "wait");
	tap_ok(lab_exec(&other, "leave", NULL, &e) == 0, "a command in another pot leaves objects too");
	begin(&leaver, argv0, "leaver", "leave");
	tap_ok(lab_wait(&leaver) == 0, "a pot leaves objects and ends");
	tap_ok(sscanf(lab_log(&leaver), "left %d %d %d", &id[0], &id[1], &id[2]) == 3, "and has told which");
	snprintf(path[0], sizeof(path[0]), "%s/left", leaver.root);
	snprintf(path[1], sizeof(path[1]), "%s/left", other.root);
	tap_ok(shmctl(id[0], IPC_STAT, &shm) != 0, "its System V memory ended with it (%d)", id[0]);
	tap_ok(semctl(id[1], 0, IPC_STAT, arg) != 0, "its semaphores");
	tap_ok(msgctl(id[2], IPC_STAT, &msg) != 0, "its message queue");
	/* What the kernel does not know as the jail's, its name tells. */
	snprintf(path[2], sizeof(path[2]), "%s/by-name", leaver.root);
	fd_close(shm_open(path[2], O_RDWR | O_CREAT, 0600));
	tap_ok(has_shm(path[2]), "there is memory with its path in its name");
	lab_end(&leaver);
	tap_ok(!has_shm(path[0]), "its POSIX memory is gone");
	tap_ok(!has_shm(path[2]), "and that too");
	tap_ok(!is_dying("leaver"), "nothing keeps its jail");
	tap_ok(has_shm(path[1]), "the other pot's POSIX memory is there");
	tap_ok(has_shm("/pot-lab-host"), "the host's is there");
	tap_ok(shmctl(host, IPC_STAT, &shm) == 0, "the host's System V memory is there");
	end(&other);
	tap_ok(!has_shm(path[1]), "the other's is gone with it");
	tap_ok(!is_dying("other"), "nothing keeps its jail either");
	tap_ok(has_shm("/pot-lab-host"), "the host's is still there");
	shm_unlink("/pot-lab-host");
	shmctl(host, IPC_RMID, NULL);
	lab_fini(&leaver);
	lab_fini(&other);
}

/* ---- a jail that cannot go yet: what one of its processes opened is open elsewhere */

static bool
pass(int socket, int *fd, bool give)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} u = { .room = { 0 } };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.room, .msg_controllen = sizeof(u.room)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	if (!give) {
		if (recvmsg(socket, &m, 0) != 1 || m.msg_controllen < CMSG_LEN(sizeof(int)))
			return false;
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
		return true;
	}
	*c = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))
	};
	memcpy(CMSG_DATA(c), fd, sizeof(*fd));
	return sendmsg(socket, &m, 0) == 1;
}

static int
hold(const char *jail)
{
	int p[2], fd = -1, jid = jail_find(jail, NULL);
	pid_t pid;

	if (jid < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)dup2(p[1], 3);
		closefrom(4);
		fd = jail_attach(jid) == 0 ? open("/dev/null", O_RDONLY) : -1;
		_exit(fd >= 0 && pass(3, &fd, true) ? 0 : 1);
	}
	fd_close(p[1]);
	if (!pass(p[0], &fd, false))
		fd = -1;
	fd_close(p[0]);
	(void)waitpid(pid, NULL, 0);
	return fd;
}

/* What doctor says. */
static int
doctor(struct buf *why)
{
	for (size_t i = 0; i < iso_nfeatures; i++)
		if (strcmp(iso_features[i].name, "dying jails") == 0)
			return iso_features[i].probe(why);
	return -1;
}

static void
dying(const char *argv0)
{
	AUTO_FINI(buf) struct buf why = BUF_INIT(4096);
	struct err e = ERR_INIT;
	struct lab l, again;
	int fd;

	lab_init(&l, argv0, "held");
	lab_command(&l, "wait", NULL);
	tap_fine(lab_start(&l, &e), &e, "a pot");
	fd = hold("held");
	tap_ok(fd >= 0, "of which something is held outside");
	end(&l);
	tap_ok(is_dying("held"), "its jail cannot go");
	tap_ok(doctor(&why) == 0 && strstr(buf_cstr(&why), "held") != NULL, "doctor says which (%s)",
	    buf_cstr(&why));
	lab_init(&again, argv0, "held");
	lab_command(&again, "wait", NULL);
	tap_fine(lab_start(&again, &e), &e, "it can start again all the same");
	end(&again);
	fd_close(fd);
	for (int i = 0; i < 600 && is_dying("held"); i++)
		(void)!poll(NULL, 0, 100);
	tap_ok(!is_dying("held"), "when that is let go of, the jail is gone");
	buf_reset(&why);
	tap_ok(doctor(&why) == 1, "and doctor is content");
	lab_fini(&l);
	lab_fini(&again);
}

int
main(int argc, char **argv)
{
	inside_main(argc, argv, table);
	objects(argv[0]);
	dying(argv[0]);
	return tap_done();
}
