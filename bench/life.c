/*
 * The life of a pot within one process of libpot, part by part, beside
 * fork+exec of the same command in the same run:
 *     life ROOT BASE ROUNDS
 * Prints medians in microseconds. ROOT is an initialised node, BASE has /bin/true.
 */
#include <pot.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum part { CREATE, START, END, DESTROY, RUN, FORK, PARTS };
static const char *const part_names[PARTS] = {
	[CREATE] = "pot_create from a base",
	[START] = "pot_start, until the command is executed",
	[END] = "pot_attach, until it has ended and is cleaned up",
	[DESTROY] = "pot_destroy",
	[RUN] = "start to end (the two in the middle)",
	[FORK] = "fork and exec of /bin/true",
};

static void
die(const struct err *e)
{
	fprintf(stderr, "life: %s\n", e->msg);
	exit(1);
}

static double
fork_exec(void)
{
	double begin = now_us();
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
		perror("life: fork");
		exit(1);
	}
	return now_us() - begin;
}

static void
one_life(struct pot_ctx *c, const char *base, double *us)
{
	const struct pot_create_args create = {
		.name = "bench-life", .base = base, .level = -1, .network = "inherit", .command = "/bin/true"
	};
	const struct pot_start_args start = { .attach = true };
	struct pot_process proc;
	struct err e = ERR_INIT;
	double t[5];
	int status = -1;

	t[0] = now_us();
	if (pot_create(c, &create, &e) < 0)
		die(&e);
	t[1] = now_us();
	if (pot_start(c, create.name, &start, &proc, &e) < 0)
		die(&e);
	t[2] = now_us();
	if (pot_attach(c, create.name, &proc, 1, 2, -1, &status, &e) < 0 || status != 0)
		die(&e);
	t[3] = now_us();
	if (pot_destroy(c, create.name, false, &e) < 0)
		die(&e);
	t[4] = now_us();
	for (int i = 0; i < 4; i++)
		us[i] = t[i + 1] - t[i];
	us[RUN] = t[3] - t[1];
	us[FORK] = fork_exec();
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	size_t rounds = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	double(*us)[PARTS] = calloc(rounds + 1, sizeof(*us));
	double *column = calloc(rounds + 1, sizeof(*column)), median[PARTS];
	struct pot_ctx *c;
	struct err e = ERR_INIT;

	if (rounds == 0 || us == NULL || column == NULL) {
		fprintf(stderr, "usage: life ROOT BASE ROUNDS\n");
		return 2;
	}
	if (pot_open(&c, &(struct pot_open_args){ .root = argv[1] }, &e) < 0)
		die(&e);
	one_life(c, argv[2], us[0]); /* warm */
	for (size_t i = 0; i < rounds; i++)
		one_life(c, argv[2], us[i]);
	for (int p = 0; p < PARTS; p++) {
		for (size_t i = 0; i < rounds; i++)
			column[i] = us[i][p];
		qsort(column, rounds, sizeof(*column), ascending);
		median[p] = column[rounds / 2];
	}
	for (int p = 0; p < PARTS; p++)
		printf("  %-50s %8.0f us  x %6.2f fork+exec\n", part_names[p], median[p],
		    median[p] / median[FORK]);
	pot_close(c);
	free(us);
	free(column);
	return 0;
}
