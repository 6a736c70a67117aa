/*
 * Signal names in both directions. The names are the system's own
 * (signals.def); nothing is sent from here.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/text.h"
#include "model/signame.h"

static const char *const names[] = {
#define X(name) #name,
#include "model/signals.def"
#undef X
	"RTMIN", "RTMAX", NULL
};

static const int numbers[] = {
#define X(name) SIG##name,
#include "model/signals.def"
#undef X
};

static const char *
without_sig(const char *s)
{
	return strncasecmp(s, "SIG", 3) == 0 ? s + 3 : s;
}

/* "RTMIN", "RTMIN+3", "RTMAX-2" to the number; 0 when it is none. */
static int
realtime(const char *s)
{
	const int range = SIGRTMAX - SIGRTMIN;
	bool from_min = strncasecmp(s, "RTMIN", 5) == 0;
	uint64_t n = 0;

	if (!from_min && strncasecmp(s, "RTMAX", 5) != 0)
		return 0;
	if (s[5] != '\0' &&
	    (s[5] != (from_min ? '+' : '-') || text_uint(s + 6, 0, (uint64_t)range, &n, "signal", NULL) < 0))
		return 0;
	return from_min ? SIGRTMIN + (int)n : SIGRTMAX - (int)n;
}

static int
unknown(const char *text, const char *name, struct err *e)
{
	char upper[16];
	const char *near;
	size_t i;

	err_set(e, E_INVAL, "signal '%.64s': there is no such signal", text);
	for (i = 0; name[i] != '\0' && i < sizeof(upper) - 1; i++)
		upper[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 32) : name[i];
	upper[i] = '\0';
	near = text_nearest(upper, names, ARRAY_LEN(names) - 1);
	if (near != NULL)
		err_hint(e, "did you mean %s?", near);
	else
		err_hint(e, "give a name such as TERM, or a number from 1 to %d", SIGRTMAX);
	return -E_INVAL;
}

int
signame_parse(const char *text, struct err *e)
{
	const char *name;
	uint64_t n;
	int rt;

	if (text == NULL || text[0] == '\0')
		return err_set(e, E_INVAL, "signal: it is empty");
	if (text[0] >= '0' && text[0] <= '9')
		return text_uint(text, 1, (uint64_t)SIGRTMAX, &n, "signal", e) < 0 ? -E_INVAL : (int)n;
	name = without_sig(text);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (strcasecmp(name, names[i]) == 0)
			return numbers[i];
	}
	rt = realtime(name);
	return rt > 0 ? rt : unknown(text, name, e);
}

void
signame_print(int sig, char out[static 16])
{
	const int min = SIGRTMIN, max = SIGRTMAX;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (numbers[i] == sig) {
			snprintf(out, 16, "SIG%s", names[i]);
			return;
		}
	}
	if (sig == max)
		snprintf(out, 16, "SIGRTMAX");
	else if (sig == min)
		snprintf(out, 16, "SIGRTMIN");
	else if (sig > min && sig < max)
		snprintf(out, 16, "SIGRTMIN+%d", (unsigned char)(sig - min)); /* at most 61 */
	else
		snprintf(out, 16, "signal %d", sig);
}

const char *const *
signame_all(void)
{
	return names;
}
