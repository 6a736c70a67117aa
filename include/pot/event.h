/* Events that libpot sends while a call is under way. */
#ifndef POT_EVENT_H
#define POT_EVENT_H

enum pot_event_kind { POT_EV_INFO, POT_EV_WARN, POT_EV_PROGRESS };

struct pot_event {
	enum pot_event_kind kind;
	const char *text;               /* one line, no newline; borrowed for the call */
	unsigned long long done, total; /* POT_EV_PROGRESS: bytes; total 0 when unknown */
};

/* fn may be NULL: nothing is told. */
struct pot_events {
	void (*fn)(void *arg, const struct pot_event *);
	void *arg;
};

#endif
