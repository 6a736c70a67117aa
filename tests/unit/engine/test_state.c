/* The state file: whatever is torn or damaged, a whole state is read, or it is told that there is none. */
#include <stddef.h>
#include <signal.h>
#include <sys/wait.h>

#include "../base/scratch.h"
#include "../model/expect.h"
#include "engine/state.h"

static struct err err;

static void
raw(const struct scratch *s, off_t at, const void *bytes, size_t n)
{
	AUTO(fd) int fd = openat(s->fd, "state", O_RDWR | O_CLOEXEC);

	assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
}

static off_t
slot_at(unsigned slot)
{
	return STATE_RING_OFF + (off_t)slot * STATE_SLOT_SIZE;
}

/* What another process reads. */
static int
look(const struct scratch *s, struct state_rec *rec)
{
	AUTO_FINI(state) struct state st = STATE_INIT;
	int rc = state_open(&st, s->fd, &err);

	*rec = st.rec;
	return rc;
}

/* A state with `runs` as the number of the write; slot of the last one in *last. */
static void
make(const struct scratch *s, struct state *st, unsigned writes)
{
	struct state_rec rec = { .state = POT_CREATED, .status = -1, .runs = 1, .base = "b" };

	assert_ok(state_create(st, s->fd, &rec, &err));
	for (unsigned i = 1; i < writes; i++) {
		st->rec.runs++;
		assert_ok(state_write(st, false, &err));
	}
}

static void
test_ring(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(state) struct state st = STATE_INIT;
	struct state_rec rec;
	struct stat sb;

	make(s, &st, 1);
	for (unsigned i = 2; i < 30; i++) {
		st.rec.runs = i;
		st.rec.state = i % 7;
		assert_ok(state_write(&st, i % 5 == 0, &err));
		assert_ok(look(s, &rec));
		assert_int_equal(rec.runs, i);
		assert_int_equal(rec.state, i % 7);
		assert_string_equal(rec.base, "b");
	}
	/* It never grows: what is there at the beginning is enough on a full disk. */
	assert_sys(fstatat(s->fd, "state", &sb, 0));
	assert_int_equal(sb.st_size, STATE_FILE_SIZE);
	assert_fails(state_create(&(struct state)STATE_INIT, s->fd, &rec, &err), E_EXIST);
}

/* A write was cut off anywhere: the state before it counts. */
static void
test_torn(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(state) struct state st = STATE_INIT;
	struct state_rec whole, rec;

	make(s, &st, 9);
	whole = st.rec;
	for (size_t i = 0; i < sizeof(whole); i++) {
		for (int how = 0; how < 4; how++) {
			unsigned char byte, was = ((unsigned char *)&whole)[i];

			byte = how == 0 ? (unsigned char)~was
			    : how == 1  ? was + 1
			    : how == 2  ? was - 1
					: was ^ 0x80;
			raw(s, slot_at(st.slot) + (off_t)i, &byte, 1);
			assert_ok(look(s, &rec));
			assert_int_equal(rec.runs, 8);
			raw(s, slot_at(st.slot) + (off_t)i, &was, 1);
		}
	}
	assert_ok(look(s, &rec));
	assert_int_equal(rec.runs, 9);
	/* Only a part of it arrived. */
	for (size_t len = 1; len < sizeof(whole); len += 7) {
		static const char zeros[sizeof(whole)];

		raw(s, slot_at(st.slot) + (off_t)len, zeros, sizeof(whole) - len);
		assert_ok(look(s, &rec));
		assert_int_equal(rec.runs, 8);
		raw(s, slot_at(st.slot), &whole, sizeof(whole));
	}
}

/* One after the other is lost; a write goes over what is torn, never over what is read. */
static void
test_many_torn(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(state) struct state st = STATE_INIT;
	AUTO_FINI(state) struct state other = STATE_INIT;
	struct state_rec rec;
	const char bad = 'x';

	make(s, &st, 9);
	for (unsigned lost = 1; lost < STATE_RING_SLOTS; lost++) {
		unsigned slot = (st.slot + STATE_RING_SLOTS - lost + 1) % STATE_RING_SLOTS;

		raw(s, slot_at(slot) + (off_t)offsetof(struct state_rec, base) + 40, &bad, 1);
		assert_ok(look(s, &rec));
		assert_int_equal(rec.runs, 9 - lost);
	}
	assert_ok(state_open(&other, s->fd, &err));
	other.rec.runs = 100;
	assert_ok(state_write(&other, true, &err));
	assert_ok(look(s, &rec));
	assert_int_equal(rec.runs, 100);
	for (unsigned i = 0; i < STATE_RING_SLOTS; i++)
		raw(s, slot_at(i) + 200, &bad, 1);
	expect_err_at(look(s, &rec), &err, E_CORRUPT, "no valid record", "look", __FILE__, __LINE__);
	assert_int_equal(rec.magic, 0);
}

static void
test_no_file(void **state)
{
	struct scratch *s = *state;
	struct state_rec rec;

	expect_err_at(look(s, &rec), &err, E_NOENT, "state file", "look", __FILE__, __LINE__);
	put(s->fd, "state", "");
	assert_fails(look(s, &rec), E_CORRUPT);
	put(s->fd, "state", "short");
	assert_fails(look(s, &rec), E_CORRUPT);
	assert_sys(unlinkat(s->fd, "state", 0));
	put(s->fd, "other", "");
	assert_sys(symlinkat("other", s->fd, "state"));
	assert_true(look(s, &rec) < 0);
}

/* A newer pot's state is not taken for damage, which would be repaired away. */
static void
test_version(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(state) struct state st = STATE_INIT;
	struct state_rec rec;

	make(s, &st, 3);
	rec = st.rec;
	rec.version = 99;
	rec.crc = shim_crc32(&rec, offsetof(struct state_rec, crc));
	raw(s, slot_at(st.slot), &rec, sizeof(rec));
	expect_err_at(look(s, &rec), &err, E_NOTSUP, "format 99", "look", __FILE__, __LINE__);
}

/* A sum is no proof of good will: strings end whatever the file says. */
static void
test_strings_end(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(state) struct state st = STATE_INIT;
	struct state_rec rec;

	make(s, &st, 3);
	rec = st.rec;
	memset(rec.base, 'x', offsetof(struct state_rec, flags) - offsetof(struct state_rec, base));
	rec.crc = shim_crc32(&rec, offsetof(struct state_rec, crc));
	raw(s, slot_at(st.slot), &rec, sizeof(rec));
	assert_ok(look(s, &rec));
	assert_int_equal(strlen(rec.base), sizeof(rec.base) - 1);
	assert_int_equal(strlen(rec.network), sizeof(rec.network) - 1);
	assert_int_equal(strlen(rec.cgroup), sizeof(rec.cgroup) - 1);
	assert_int_equal(strlen(rec.reason), sizeof(rec.reason) - 1);
	assert_int_equal(strlen(rec.arg), sizeof(rec.arg) - 1);
}

static void
test_exit(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(state) struct state st = STATE_INIT;
	struct shim_exit x = { .magic = SHIM_EXIT_MAGIC, .version = 1, .run_id = 77, .wait_status = 3 << 8 },
			 got;

	make(s, &st, 3);
	st.rec.run_id = 77;
	assert_int_equal(state_exit(&st, &got, &err), 0);
	x.crc = shim_crc32(&x, offsetof(struct shim_exit, crc));
	raw(s, STATE_EXIT_OFF, &x, sizeof(x));
	assert_int_equal(state_exit(&st, &got, &err), 1);
	assert_memory_equal(&got, &x, sizeof(x));
	for (size_t i = 0; i < sizeof(x); i++) {
		unsigned char was = ((unsigned char *)&x)[i], byte = (unsigned char)~was;

		raw(s, STATE_EXIT_OFF + (off_t)i, &byte, 1);
		assert_int_equal(state_exit(&st, &got, &err), 0);
		raw(s, STATE_EXIT_OFF + (off_t)i, &was, 1);
	}
	/* Another run's end is none of this one. */
	st.rec.run_id = 78;
	assert_int_equal(state_exit(&st, &got, &err), 0);
	st.rec.run_id = 77;
	for (unsigned i = 0; i < 2 * STATE_RING_SLOTS; i++)
		assert_ok(state_write(&st, false, &err));
	assert_int_equal(state_exit(&st, &got, &err), 1);
}

/* The lock is the other process's life, whatever way that ends. */
static void
test_alive(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(state) struct state st = STATE_INIT;
	int locked[2], status;
	char byte;
	pid_t pid;

	make(s, &st, 1);
	assert_false(state_alive(&st));
	assert_sys(pipe(locked));
	pid = fork();
	if (pid == 0) {
		int fd = openat(s->fd, "state", O_RDWR | O_CLOEXEC);

		if (lock_fd(fd, true, 0, NULL) < 0 || write(locked[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(locked[1]);
	assert_int_equal(read(locked[0], &byte, 1), 1);
	close(locked[0]);
	assert_true(state_alive(&st));
	assert_sys(kill(pid, SIGKILL));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(state_alive(&st));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_ring),
		scratch_test(test_torn),
		scratch_test(test_many_torn),
		scratch_test(test_no_file),
		scratch_test(test_version),
		scratch_test(test_strings_end),
		scratch_test(test_exit),
		scratch_test(test_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
