/*
 * Commands executed in a task: what the agent types goes to the command, what
 * the command says goes to the agent, and neither is read faster than the
 * other side takes it. The driver starts and kills the command; the fds are
 * pumped here.
 */
#include <sys/ioctl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nomad/call.h"
#include "nomad/convert.h"
#include "nomad/rpc.h"

#define CHUNK 16384
#define INPUT_MAX ((size_t)2 << 20) /* a message of the largest size on top of a full queue */
#define ARGV_MAX 16384
#define TAIL 4096 /* ExecTask: what the agent shows of a check's output */
/* A command has ended, and something that it has started holds its output open: what it said is with us by then. */
#define LINGER_MS 500
#define DRAIN_MAX (1 << 20)
#define END_OF_TEXT '\x04' /* to a terminal, which cannot be closed in one direction */

/* The last bytes of an output. */
struct tail {
	char data[2 * TAIL];
	size_t n;
};

struct output {
	struct exec *x;
	int fd; /* -1: none, or at its end */
	struct loop_io *io;
	bool is_err, is_paused; /* paused: until the agent has taken what there is */
	struct tail *tail;      /* instead of messages */
};

struct exec {
	struct call *call;
	struct strv argv; /* the task's id, then the command */
	struct drv_exec request;
	bool is_started, has_exited, input_ended;
	struct output outputs[2];
	int in;
	struct loop_io *in_io;
	struct buf input; /* on its way to the command */
	size_t written;   /* of it */
	struct winsize size;
	struct drv_exit exit;
	struct loop_timer *timer; /* the deadline of ExecTask; after the end the linger */
	struct tail *tails;
};

/* ---- life ------------------------------------------------------------------------ */

static void
close_output(struct output *o)
{
	loop_io_free(take_ptr(o->io));
	if (o->fd >= 0)
		fd_close(take_fd(o->fd));
}

static void
close_input(struct exec *x)
{
	loop_io_free(take_ptr(x->in_io));
	if (x->in >= 0)
		fd_close(take_fd(x->in));
	buf_fini(&x->input);
	x->written = 0;
}

void
exec_free(struct exec *x)
{
	if (x == NULL)
		return;
	close_output(&x->outputs[0]);
	close_output(&x->outputs[1]);
	close_input(x);
	loop_timer_free(x->timer);
	strv_fini(&x->argv);
	free(x->tails);
	free(x);
}

static struct exec *
exec_new(struct call *c, const char *task_id, char **argv, size_t n)
{
	struct exec *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	*x = (struct exec){ .call = c, .argv = STRV_INIT(ARGV_MAX), .in = -1 };
	x->outputs[0] = (struct output){ .x = x, .fd = -1 };
	x->outputs[1] = (struct output){ .x = x, .fd = -1, .is_err = true };
	buf_init(&x->input, INPUT_MAX);
	strv_add(&x->argv, task_id);
	for (size_t i = 0; i < n; i++)
		strv_add(&x->argv, argv[i]);
	if (x->argv.failed) {
		exec_free(x);
		return NULL;
	}
	x->request.task_id = x->argv.v[0];
	x->request.argv = (struct drv_strings){ n, (const char *const *)x->argv.v + 1 };
	return x;
}

/* ---- the command's output ------------------------------------------------------------ */

static void
send_output(struct call *c, bool is_err, const void *data, size_t n, bool close)
{
	Pb__ExecTaskStreamingResponse m = PB__EXEC_TASK_STREAMING_RESPONSE__INIT;
	Pb__ExecIo io = PB__EXEC_IO__INIT;

	io.data = (ProtobufCBinaryData){ n, (uint8_t *)(uintptr_t)data };
	io.close = close;
	if (is_err)
		m.error = &io;
	else
		m.output = &io;
	call_push(c, &m.base);
}

static void
tail_add(struct tail *t, const char *data, size_t n)
{
	if (n > TAIL) {
		data += n - TAIL;
		n = TAIL;
	}
	if (t->n + n > sizeof(t->data)) {
		memmove(t->data, t->data + t->n - TAIL, TAIL);
		t->n = TAIL;
	}
	memcpy(t->data + t->n, data, n);
	t->n += n;
}

static ProtobufCBinaryData
tail_get(struct tail *t)
{
	size_t n = t->n < TAIL ? t->n : TAIL;

	return (ProtobufCBinaryData){ n, (uint8_t *)t->data + t->n - n };
}

static void
send_result(struct exec *x)
{
	struct call *c = x->call;

	if (x->tails != NULL) {
		Pb__ExecTaskResponse m = PB__EXEC_TASK_RESPONSE__INIT;

		m.out = tail_get(&x->tails[0]);
		m.err = tail_get(&x->tails[1]);
		m.result = exit_encode(&c->arena, &x->exit);
		call_reply(c, &m.base);
	} else {
		Pb__ExecTaskStreamingResponse m = PB__EXEC_TASK_STREAMING_RESPONSE__INIT;

		m.exited = true;
		m.result = exit_encode(&c->arena, &x->exit);
		call_reply(c, &m.base);
	}
}

/* It is gone afterwards if it is over. */
static void
finish_if_over(struct exec *x)
{
	if (x->has_exited && x->outputs[0].fd < 0 && x->outputs[1].fd < 0)
		send_result(x);
}

/* Was something read? At its end it is closed. */
static bool
pump_output(struct output *o)
{
	char chunk[CHUNK];
	ssize_t n;

	n = read(o->fd, chunk, sizeof(chunk));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0 && o->x->request.tty && !o->x->has_exited) {
		/*
		 * EIO is a terminal's way to say that nobody has it open. Whoever closes its output
		 * before it exits would be killed by a hang-up if we closed it now.
		 */
		loop_io_set(o->io, 0);
		return false;
	}
	if (n <= 0) {
		close_output(o);
		if (o->tail == NULL)
			send_output(o->x->call, o->is_err, NULL, 0, true);
		return false;
	}
	if (o->tail != NULL)
		tail_add(o->tail, chunk, (size_t)n);
	else
		send_output(o->x->call, o->is_err, chunk, (size_t)n, false);
	return true;
}

static bool
is_full(const struct exec *x)
{
	return x->tails == NULL && call_queued(x->call) >= QUEUE_MAX;
}

static void
output_ready(void *arg, short revents)
{
	struct output *o = arg;

	o->is_paused = is_full(o->x);
	if (o->is_paused) {
		loop_io_set(o->io, 0);
		return;
	}
	pump_output(o);
	finish_if_over(o->x);
}

static void
room_for_output(struct call *c)
{
	for (size_t i = 0; c->exec != NULL && i < ARRAY_LEN(c->exec->outputs); i++) {
		struct output *o = &c->exec->outputs[i];

		o->is_paused = false;
		if (o->io != NULL)
			loop_io_set(o->io, POLLIN);
	}
}

/* ---- the command's input ---------------------------------------------------------------- */

static void
write_input(struct exec *x)
{
	while (x->in >= 0 && x->written < x->input.len) {
		ssize_t n = write(x->in, x->input.data + x->written, x->input.len - x->written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) { /* nobody reads: what comes goes nowhere */
			close_input(x);
			break;
		}
		x->written += (size_t)n;
	}
	if (x->written == x->input.len) {
		buf_reset(&x->input);
		x->written = 0;
		if (x->in >= 0 && x->input_ended)
			close_input(x);
	}
	if (x->in_io != NULL)
		loop_io_set(x->in_io, x->input.len > 0 ? POLLOUT : 0);
	if (x->call->is_paused != (x->input.len - x->written > QUEUE_MAX))
		call_pause(x->call, !x->call->is_paused);
}

static void
input_ready(void *arg, short revents)
{
	write_input(arg);
}

static void
end_input(struct exec *x)
{
	char end = END_OF_TEXT;

	if (x->input_ended)
		return;
	x->input_ended = true;
	if (x->request.tty)
		buf_add(&x->input, &end, 1);
	if (x->is_started)
		write_input(x);
}

/* Before it has started the queue waits; afterwards, when it takes none, nothing does. */
static void
add_input(struct exec *x, const ProtobufCBinaryData *data)
{
	if (x->input_ended || (x->is_started && x->in < 0))
		return;
	if (x->written > 0) {
		memmove(x->input.data, x->input.data + x->written, x->input.len - x->written);
		x->input.len -= take(x->written, 0);
	}
	buf_add(&x->input, data->data, data->len);
	if (x->is_started)
		write_input(x);
	else if (x->input.len > QUEUE_MAX)
		call_pause(x->call, true);
}

static void
resize(struct exec *x)
{
	if (x->request.tty && x->outputs[0].fd >= 0 && x->size.ws_row > 0 && x->size.ws_col > 0)
		(void)ioctl(x->outputs[0].fd, TIOCSWINSZ, &x->size);
}

/* ---- from and to the driver ---------------------------------------------------------------- */

static bool
begin_output(struct output *o, int fd)
{
	o->fd = fd;
	if (fd < 0)
		return true;
	o->tail = o->x->tails == NULL ? NULL : &o->x->tails[o->is_err];
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return false;
	o->io = loop_io_new(o->x->call->nomad->loop, fd, POLLIN, output_ready, o);
	return o->io != NULL;
}

static bool
begin_input(struct exec *x, int fd)
{
	x->in = fd;
	if (fd < 0)
		return true;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return false;
	x->in_io = loop_io_new(x->call->nomad->loop, fd, 0, input_ready, x);
	return x->in_io != NULL;
}

static void
cannot_pump(void *arg)
{
	struct exec *x = arg;

	call_abort(x->call, GRPC_INTERNAL, "exec: the command's input and output cannot be used");
}

void
call_exec_fds(struct call *c, const struct drv_exec_fds *fds)
{
	struct exec *x = c->exec;
	/* Through a second one, so that each direction has its own end. */
	int in = x->request.tty ? fcntl(fds->out, F_DUPFD_CLOEXEC, 0) : fds->in;
	bool fine = begin_output(&x->outputs[0], fds->out);

	fine = begin_output(&x->outputs[1], fds->err) && fine;
	fine = begin_input(x, in) && fine;
	x->is_started = true;
	if (!fine) {
		/* The driver, which is in the middle of it, is told in another turn. */
		loop_timer_free(x->timer);
		x->timer = loop_timer_new(c->nomad->loop, 0, cannot_pump, x);
		return;
	}
	resize(x);
	write_input(x);
}

/* What is there now, and at most what a pipe holds: others may go on to write. */
static void
drain_output(struct output *o)
{
	for (size_t i = 0; i < DRAIN_MAX / CHUNK && o->fd >= 0 && !is_full(o->x); i++) {
		if (!pump_output(o))
			return;
	}
}

static void
linger_over(void *arg)
{
	struct exec *x = arg;

	drain_output(&x->outputs[0]);
	drain_output(&x->outputs[1]);
	if (is_full(x)) { /* the agent has not taken all of it yet */
		loop_timer_set(x->timer, LINGER_MS);
		return;
	}
	close_output(&x->outputs[0]);
	close_output(&x->outputs[1]);
	finish_if_over(x);
}

void
call_exec_exited(struct call *c, const struct drv_exit *result)
{
	struct exec *x = c->exec;

	x->has_exited = true;
	x->exit = *result;
	x->exit.error = NULL;
	close_input(x);
	loop_timer_free(x->timer);
	x->timer = c->stream == NULL ? NULL : loop_timer_new(c->nomad->loop, LINGER_MS, linger_over, x);
	if (x->request.tty && x->timer != NULL)
		drain_output(&x->outputs[0]);
	if (x->timer == NULL) {
		close_output(&x->outputs[0]);
		close_output(&x->outputs[1]);
	}
	finish_if_over(x);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void
too_long(void *arg)
{
	struct exec *x = arg;

	call_abort(x->call, GRPC_DEADLINE_EXCEEDED, "the command ran longer than it may, and was killed");
}

static void
start(struct call *c)
{
	if (c->exec->request.argv.n == 0)
		call_end(c, GRPC_INVALID_ARGUMENT, "exec: there is no command");
	else
		c->nomad->ops->exec(c->nomad->drv, c, &c->exec->request);
}

void
rpc_exec_task(struct call *c, const void *request)
{
	const Pb__ExecTaskRequest *m = request;
	struct exec *x = exec_new(c, m->task_id, m->command, m->n_command);

	c->exec = x;
	if (x != NULL)
		x->tails = calloc(2, sizeof(*x->tails));
	if (x == NULL || x->tails == NULL) {
		call_end(c, GRPC_RESOURCE_EXHAUSTED, "exec: out of memory");
		return;
	}
	x->input_ended = true;
	x->request.timeout_ms = duration_decode(m->timeout);
	if (x->request.timeout_ms > 0)
		x->timer = loop_timer_new(c->nomad->loop, x->request.timeout_ms, too_long, x);
	start(c);
}

static void
set_up(struct call *c, const Pb__ExecTaskStreamingRequest__Setup *m)
{
	c->exec = exec_new(c, m->task_id, m->command, m->n_command);
	if (c->exec == NULL) {
		call_end(c, GRPC_RESOURCE_EXHAUSTED, "exec: out of memory");
		return;
	}
	c->exec->request.tty = m->tty;
	c->exec->request.has_stdin = true;
	c->drained = room_for_output;
	start(c);
}

static unsigned short
to_cells(int32_t n)
{
	return n < 0 ? 0 : n > 9999 ? 9999 : (unsigned short)n;
}

/* The first message sets up; later ones bring input, a size, or nothing: the line is alive. */
void
rpc_exec_streaming(struct call *c, const void *request)
{
	const Pb__ExecTaskStreamingRequest *m = request;
	struct nomad *n = c->nomad;
	struct exec *x = c->exec;

	if (x == NULL && m->setup == NULL) {
		call_end(c, GRPC_INVALID_ARGUMENT, "exec: the first message is to say what to execute");
		return;
	}
	if (x == NULL)
		set_up(c, m->setup);
	/* Is it still there? */
	x = n->current == c ? c->exec : NULL;
	if (x == NULL || x->has_exited)
		return;
	if (m->tty_size != NULL) {
		x->size.ws_row = to_cells(m->tty_size->height);
		x->size.ws_col = to_cells(m->tty_size->width);
		resize(x);
	}
	if (m->input != NULL && m->input->data.len > 0)
		add_input(x, &m->input->data);
	if (m->input != NULL && m->input->close)
		end_input(x);
}

void
rpc_exec_streaming_closed(struct call *c)
{
	if (c->exec == NULL)
		call_end(c, GRPC_INVALID_ARGUMENT, "exec: the first message is to say what to execute");
	else if (!c->exec->has_exited)
		end_input(c->exec);
}
