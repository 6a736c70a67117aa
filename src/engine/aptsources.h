/* The package sources of a Debian host, for making a base of a suite from them. */
#ifndef ENGINE_APTSOURCES_H
#define ENGINE_APTSOURCES_H

#include "base/buf.h"

/*
 * "bookworm" or "debian:bookworm" to the suite "bookworm". E_INVAL for what
 * is no suite's name.
 */
int apt_suite(const char *release, char out[static 64], struct err *) MUST_CHECK;

/*
 * One file, deb822 (*.sources) or lines (*.list), into lines "deb [options]
 * URI SUITE COMPONENTS" for `suite`: entries of that suite itself, and those of
 * the host's own suite `host` ("" unknown) under the other's name, with what
 * belongs to them (-updates, -security; not -backports). Only archives that
 * have a component main count: others hold additions, no system. Lines that are
 * there already are not added again. E_INVAL "WHAT:LINE: why".
 */
int apt_parse_list(const char *text, const char *what, const char *suite, const char *host,
    struct strv *lines, struct err *) MUST_CHECK;
int apt_parse_deb822(const char *text, const char *what, const char *suite, const char *host,
    struct strv *lines, struct err *) MUST_CHECK;

/* All files of etc_apt ("/etc/apt") as apt reads them. E_NOENT when none has the suite. */
int apt_sources(
    const char *etc_apt, const char *suite, const char *host, struct strv *lines, struct err *) MUST_CHECK;
/* One line for the suite from mirror instead, with the options (key) of the first one there was. */
int apt_use_mirror(const char *mirror, const char *suite, struct strv *lines, struct err *) MUST_CHECK;

#endif
