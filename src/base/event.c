/* Events to the caller's callback; a library's only way to speak. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "base/text.h"

#define EVENT_TEXT_MAX 1024

static void PRINTF(3, 0)
    say(const struct pot_events *events, enum pot_event_kind kind, const char *fmt, va_list ap)
{
	char raw[EVENT_TEXT_MAX], text[EVENT_TEXT_MAX];
	struct pot_event event = { kind, text, 0, 0 };

	if (events == NULL || events->fn == NULL)
		return;
	if (vsnprintf(raw, sizeof(raw), fmt, ap) < 0)
		return;
	text_escape_into(text, sizeof(text), raw, strlen(raw));
	events->fn(events->arg, &event);
}

void
event_info(const struct pot_events *events, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(events, POT_EV_INFO, fmt, ap);
	va_end(ap);
}

void
event_warn(const struct pot_events *events, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(events, POT_EV_WARN, fmt, ap);
	va_end(ap);
}

void
event_progress(
    const struct pot_events *events, const char *what, unsigned long long done, unsigned long long total)
{
	char text[EVENT_TEXT_MAX];
	struct pot_event event = { POT_EV_PROGRESS, text, done, total };

	if (events == NULL || events->fn == NULL)
		return;
	text_escape_into(text, sizeof(text), what, strlen(what));
	events->fn(events->arg, &event);
}
