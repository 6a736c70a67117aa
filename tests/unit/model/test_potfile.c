/* Potfiles: every instruction, what is refused and where, stages, here-documents, and steps with their variables. */
#include "expect.h"
#include "model/potfile.h"

static int
parse(struct potfile *pf, const char *text, struct potfile_place *where, struct err *e)
{
	return potfile_parse(pf, text, strlen(text), "Potfile", where, e);
}

/* FROM, then the line; the step it makes. */
static struct potfile_step *
one(struct potfile *pf, const char *line)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(POTFILE_MAX);
	struct err e = ERR_INIT;

	buf_fmt(&text, "FROM scratch\n%s\n", line);
	if (parse(pf, buf_cstr(&text), NULL, &e) < 0)
		fail_msg("%s: %s", line, e.msg);
	assert_int_equal(pf->nsteps, 2);
	return &pf->steps[1];
}

static void
instructions(void **state)
{
	/* words joined by '|', flags behind it as name=value */
	static const struct {
		const char *line;
		enum potfile_op op;
		const char *words, *flags;
		bool exec;
	} rows[] = {
		{ "RUN a  b 'c", POTFILE_RUN, "a  b 'c", "", false },
		{ "run [\"a\", \"b c\"]", POTFILE_RUN, "a|b c", "", true },
		{ "RUN [ -f x ] && y", POTFILE_RUN, "[ -f x ] && y", "", false },
		{ "RUN --network=none --mount=type=cache,target=/c x", POTFILE_RUN, "x",
		    "network=none mount=type=cache,target=/c ", false },
		{ "RUN a \\\n  b", POTFILE_RUN, "a   b", "", false },
		{ "RUN a \\ \n# comment\n\n b", POTFILE_RUN, "a  b", "", false },
		{ "RUN --security=insecure -- --x", POTFILE_RUN, "--x", "security=insecure ", false },
		{ "CMD", POTFILE_CMD, "", "", false },
		{ "CMD []", POTFILE_CMD, "", "", true },
		{ "CMD [\"\\u00e9\"]", POTFILE_CMD, "\xc3\xa9", "", true },
		{ "ENTRYPOINT exec top", POTFILE_ENTRYPOINT, "exec top", "", false },
		{ "SHELL [\"/bin/bash\",\"-c\"]", POTFILE_SHELL, "/bin/bash|-c", "", true },
		{ "ENV A=b C=\"d e\" F=g\\ h", POTFILE_ENV, "A|b|C|\"d e\"|F|g\\ h", "", false },
		{ "ENV A b  c", POTFILE_ENV, "A|b  c", "", false },
		{ "ENV A=", POTFILE_ENV, "A|", "", false },
		{ "LABEL a.b=c \"d e\"=f", POTFILE_LABEL, "a.b|c|\"d e\"|f", "", false },
		{ "LABEL a b", POTFILE_LABEL, "a|b", "", false },
		{ "ARG A", POTFILE_ARG, "A|(null)", "", false },
		{ "ARG A=1 B", POTFILE_ARG, "A|1|B|(null)", "", false },
		{ "COPY a b c/", POTFILE_COPY, "a|b|c/", "", false },
		{ "COPY [\"a b\",\"c\"]", POTFILE_COPY, "a b|c", "", true },
		{ "COPY \"a b\" c", POTFILE_COPY, "\"a b\"|c", "", false },
		{ "COPY --from=x --chown=1:2 --chmod=0755 --link --parents --exclude=*.o --exclude=b a b",
		    POTFILE_COPY, "a|b",
		    "from=x chown=1:2 chmod=0755 link=(null) parents=(null) exclude=*.o exclude=b ", false },
		{ "COPY --chmod=u=rwX,go=rX --link=false a b", POTFILE_COPY, "a|b",
		    "chmod=u=rwX,go=rX link=false ", false },
		{ "ADD --keep-git-dir=true https://x/y /z", POTFILE_ADD, "https://x/y|/z",
		    "keep-git-dir=true ", false },
		{ "EXPOSE 80 443/tcp 8000-8010/udp $P", POTFILE_EXPOSE, "80|443/tcp|8000-8010/udp|$P", "",
		    false },
		{ "VOLUME /a /b", POTFILE_VOLUME, "/a|/b", "", false },
		{ "VOLUME [\"/a b\"]", POTFILE_VOLUME, "/a b", "", true },
		{ "USER www:www", POTFILE_USER, "www:www", "", false },
		{ "WORKDIR /a b", POTFILE_WORKDIR, "/a b", "", false },
		{ "STOPSIGNAL SIGQUIT", POTFILE_STOPSIGNAL, "SIGQUIT", "", false },
		{ "MAINTAINER A <a@b>", POTFILE_MAINTAINER, "A <a@b>", "", false },
		{ "HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=5s --start-interval=1s "
		  "--retries=4 CMD curl x",
		    POTFILE_HEALTHCHECK, "curl x",
		    "interval=1m30s timeout=500ms start-period=5s start-interval=1s retries=4 ", false },
		{ "HEALTHCHECK CMD [\"a\"]", POTFILE_HEALTHCHECK, "a", "", true },
		{ "HEALTHCHECK none", POTFILE_HEALTHCHECK, "", "", false },
		{ "FLAVOUR nginx?port=8080 slim", POTFILE_FLAVOUR, "nginx?port=8080|slim", "", false },
		{ "ATTRIBUTE start-at-boot YES", POTFILE_ATTRIBUTE, "start-at-boot|YES", "", false },
		{ "LIMIT memory 64m", POTFILE_LIMIT, "memory|64m", "", false },
		{ "NAME web", POTFILE_NAME, "web", "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FINI(buf) struct buf words = BUF_INIT(4096);
		AUTO_FINI(buf) struct buf flags = BUF_INIT(4096);
		AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
		struct potfile_step *st = one(&pf, rows[i].line);

		for (size_t j = 0; j < st->nwords; j++)
			buf_fmt(&words, "%s%s", j > 0 ? "|" : "",
			    st->words[j].text != NULL ? st->words[j].text : "(null)");
		for (size_t j = 0; j < st->nflags; j++)
			buf_fmt(&flags, "%s=%s ", st->flags[j].name,
			    st->flags[j].value != NULL ? st->flags[j].value : "(null)");
		if (st->op != rows[i].op || strcmp(buf_cstr(&words), rows[i].words) != 0 ||
		    strcmp(buf_cstr(&flags), rows[i].flags) != 0 || st->exec != rows[i].exec)
			fail_msg("%s: %s: '%s' '%s'", rows[i].line, potfile_op_name(st->op), buf_cstr(&words),
			    buf_cstr(&flags));
	}
}

static void
refused(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *why;
	} rows[] = {
		{ "", 1, 1, "no FROM" },
		{ "# only\n", 2, 1, "no FROM" },
		{ "RUN x\n", 1, 1, "RUN before the first FROM" },
		{ "FROM a\nRUNN x\n", 2, 1, "unknown instruction 'RUNN'" },
		{ "FROM\n", 1, 1, "FROM needs an argument" },
		{ "FROM a b\n", 1, 8, "only 'AS NAME'" },
		{ "FROM a AS 1x\n", 1, 11, "a stage's name" },
		{ "FROM a AS x\nFROM b AS X\n", 2, 11, "stands in line 1 already" },
		{ "FROM a\n  RUN\n", 2, 3, "RUN needs an argument" },
		{ "FROM a\nCOPY a\n", 2, 6, "a source and a destination" },
		{ "FROM a\nCOPY --form=b a b\n", 2, 6, "no option --form" },
		{ "FROM a\nCOPY --from=$x a b\n", 2, 6, "takes no variables" },
		{ "FROM a\nCOPY --from a b\n", 2, 6, "needs a value" },
		{ "FROM a\nCOPY --chmod=9 a b\n", 2, 6, "not a mode" },
		{ "FROM a\nCOPY --link --link a b\n", 2, 13, "a second time" },
		{ "FROM a\nCOPY a \\\n  'b\n", 3, 3, "a ' without its end" },
		{ "FROM a\nRUN --mount=type=cash,target=/x y\n", 2, 5, "type 'cash'" },
		{ "FROM a\nRUN --mount=type=cache y\n", 2, 5, "target is missing" },
		{ "FROM a\nRUN --mount=type=tmpfs,target=/x,sharing=locked y\n", 2, 5,
		    "means nothing with type=tmpfs" },
		{ "FROM a\nRUN --network=foo y\n", 2, 5, "none of default|none|host" },
		{ "FROM a\nRUN []\n", 2, 5, "RUN needs an argument" },
		{ "FROM a\nRUN cat <<EOF\nx\n", 2, 9, "no line 'EOF'" },
		{ "FROM a\nENV A\n", 2, 5, "no value" },
		{ "FROM a\nENV A=b C\n", 2, 9, "NAME=VALUE" },
		{ "FROM a\nENV =b\n", 2, 5, "no name" },
		{ "FROM a\nEXPOSE 80 99999\n", 2, 11, "port" },
		{ "FROM a\nEXPOSE 80/icmp\n", 2, 8, "tcp, udp or sctp" },
		{ "FROM a\nEXPOSE 90-80\n", 2, 8, "ends before" },
		{ "FROM a\nSTOPSIGNAL SIGFOO\n", 2, 12, "" },
		{ "FROM a\nSHELL bash\n", 2, 7, "a list in JSON" },
		{ "FROM a\nHEALTHCHECK FOO\n", 2, 13, "CMD or NONE" },
		{ "FROM a\nHEALTHCHECK --interval=5 CMD x\n", 2, 13, "not a time" },
		{ "FROM a\nHEALTHCHECK NONE x\n", 2, 18, "nothing follows" },
		{ "FROM a\nONBUILD ONBUILD RUN x\n", 2, 9, "cannot stand behind" },
		{ "FROM a\nONBUILD FROM b\n", 2, 9, "cannot stand behind" },
		{ "FROM a\nONBUILD COPY x\n", 2, 14, "a source and" },
		{ "FROM a\nLIMIT memori 1m\n", 2, 7, "" },
		{ "FROM a\nLIMIT memory x\n", 2, 14, "" },
		{ "FROM a\nATTRIBUTE foo bar\n", 2, 11, "" },
		{ "FROM a\nNAME a.b\n", 2, 6, "" },
		{ "FROM a\nNAME a b\n", 2, 6, "too many" },
		{ "FROM a\nADD --checksum=sha256:12 a b\n", 2, 5, "not a checksum" },
		{ "# escape=x\nFROM a\n", 1, 10, "escape character" },
		{ "# syntax=a\n# syntax=b\nFROM a\n", 2, 3, "a second time" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
		struct potfile_place where;
		struct err e = ERR_INIT;

		expect_err(parse(&pf, rows[i].text, &where, &e), E_INVAL, rows[i].why);
		if (where.line != rows[i].line || where.column != rows[i].column)
			fail_msg("%s: at %u:%u: %s", rows[i].text, where.line, where.column, e.msg);
	}
}

static void
excerpts(void **state)
{
	AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
	AUTO_FINI(buf) struct buf out = BUF_INIT(4096);
	struct potfile_place where;
	struct err e = ERR_INIT;

	expect_err(parse(&pf, "FROM a\r\n\tCOPY \xc3\xa9 --x 'y\r\n", &where, &e), E_INVAL,
	    "Potfile:2:14: a ' without");
	potfile_excerpt(&pf, where, &out);
	assert_string_equal(buf_cstr(&out), " COPY \xc3\xa9 --x 'y\n            ^\n");
}

static void
directives(void **state)
{
	AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT, late = POTFILE_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(parse(&pf,
			     "\xef\xbb\xbf#  SynTax = docker/dockerfile:1 \n# escape=`\n#check=skip=all\n"
			     "FROM a\nRUN a `\nb\nCOPY c:\\x d\\\n",
			     NULL, &e),
	    0);
	assert_string_equal(pf.syntax, "docker/dockerfile:1");
	assert_string_equal(pf.check, "skip=all");
	assert_int_equal(pf.escape, '`');
	assert_string_equal(pf.steps[1].words[0].text, "a b");
	assert_string_equal(pf.steps[2].words[1].text, "d\\");
	assert_int_equal(parse(&late, "# a comment\n# escape=`\nFROM a\n", NULL, &e), 0);
	assert_int_equal(late.escape, '\\');
}

static void
heredocs(void **state)
{
	AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
	AUTO_FINI(buf) struct buf out = BUF_INIT(4096);
	struct err e = ERR_INIT;
	bool script;

	assert_int_equal(parse(&pf,
			     "FROM a\nRUN <<EOF\n# kept\n\tx\nEOF\n"
			     "RUN cat <<A - 3<<-'B' >/f\n1\nA\n\t2\n\tB\n"
			     "COPY <<\"x.txt\" <<y.txt /d/\n$A\nx.txt\n${A}\\$\ny.txt\n"
			     "ONBUILD RUN <<EOF\nz\nEOF\n"
			     "RUN cat <<<EOF \"<<X\"\nUSER u\n",
			     NULL, &e),
	    0);
	assert_int_equal(pf.nsteps, 7);
	assert_int_equal(potfile_command(&pf.steps[1], &out, &script, &e), 0);
	assert_true(script);
	assert_string_equal(buf_cstr(&out), "# kept\n\tx\n");
	buf_reset(&out);
	assert_int_equal(potfile_command(&pf.steps[2], &out, &script, &e), 0);
	assert_false(script);
	assert_string_equal(buf_cstr(&out), "cat <<A - 3<<-'B' >/f\n1\nA\n2\nB\n");
	assert_true(pf.steps[2].heredocs[0].expand);
	assert_false(pf.steps[2].heredocs[1].expand);
	assert_int_equal(pf.steps[3].nwords, 1);
	assert_string_equal(pf.steps[3].heredocs[0].name, "x.txt");
	assert_false(pf.steps[3].heredocs[0].expand);
	assert_string_equal(pf.steps[3].heredocs[1].body, "${A}\\$\n");
	buf_reset(&out);
	assert_int_equal(potfile_print(pf.steps[4].inner, &out, &e), 0);
	assert_string_equal(buf_cstr(&out), "RUN <<EOF\nz\nEOF\n");
	assert_int_equal(pf.steps[5].nheredocs, 0);
	assert_int_equal(pf.steps[6].line, 20);
}

static void
stages(void **state)
{
	AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
	struct scope_build b = SCOPE_BUILD_INIT;
	struct err e = ERR_INIT;
	bool needed[6];
	size_t index;

	assert_int_equal(scope_given(&b, "TAG=2", NULL, &e), 0);
	assert_int_equal(
	    parse(&pf,
		"ARG TAG=1\nARG IMG=debian:$TAG\nFROM --platform=linux/arm64 $IMG AS One\nFROM base:bookworm "
		"AS two\nFROM one\n"
		"COPY --from=two a b\nFROM scratch AS lone\nFROM scratch AS last\nCOPY --from=2 a b\n"
		"RUN --mount=type=bind,from=two,target=/x y\nCOPY --from=busybox:1 c d\nCOPY --from=base:x c "
		"d\n",
		NULL, &e),
	    0);
	if (potfile_resolve(&pf, &b, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(pf.nglobal, 2);
	assert_int_equal(pf.nstages, 5);
	assert_string_equal(pf.stages[0].image, "debian:2");
	assert_string_equal(pf.stages[0].platform, "linux/arm64");
	assert_int_equal(pf.stages[1].source, POTFILE_BASE);
	assert_string_equal(pf.stages[1].image, "bookworm");
	assert_int_equal(pf.stages[2].source, POTFILE_STAGE);
	assert_int_equal(pf.stages[2].nneeds, 2);
	assert_int_equal(pf.stages[3].source, POTFILE_SCRATCH);
	assert_int_equal(potfile_target(&pf, NULL, &index, &e), 0);
	assert_int_equal(index, 4);
	potfile_needed(&pf, index, needed);
	assert_true(needed[0] && needed[1] && needed[2] && !needed[3] && needed[4]);
	assert_int_equal(potfile_target(&pf, "TWO", &index, &e), 0);
	potfile_needed(&pf, index, needed);
	assert_true(!needed[0] && needed[1] && !needed[4]);
	expect_err(potfile_target(&pf, "lon", &index, &e), E_NOENT, "no stage 'lon'");
	expect_hint("lone");
	scope_build_fini(&b);
}

static void
bad_stages(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *why;
	} rows[] = {
		{ "FROM $X\n", 1, 6, "names nothing" },
		{ "FROM a\nCOPY --from=0 a b\n", 2, 6, "no stage 0" },
		{ "FROM a\nCOPY --from=later a b\nFROM b AS later\n", 2, 6, "further down" },
		{ "FROM a:b:c\n", 1, 6, "" },
		{ "FROM base:\n", 1, 6, "" },
		{ "FROM ${X:?say}\n", 1, 10, "X: say" },
		{ "FROM a\nRUN --mount=from=7,target=/x y\n", 2, 5, "no stage 7" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
		struct scope_build b = SCOPE_BUILD_INIT;
		struct potfile_place where;
		struct err e = ERR_INIT;
		int rc;

		assert_int_equal(parse(&pf, rows[i].text, &where, &e), 0);
		rc = potfile_resolve(&pf, &b, &where, &e);
		if (rc >= 0 || where.line != rows[i].line || where.column != rows[i].column ||
		    strstr(e.msg, rows[i].why) == NULL)
			fail_msg("%s: at %u:%u: %s", rows[i].text, where.line, where.column, e.msg);
		scope_build_fini(&b);
	}
}

static void
expanded(void **state)
{
	static const struct {
		const char *line, *words;
	} rows[] = {
		{ "COPY $A \"b $A\" /$D/", "x|b x|//" },
		{ "COPY [\"$A 'q'\", \"d\"]", "x 'q'|d" },
		{ "EXPOSE $PORTS", "80|443" },
		{ "ENV B=\"$A\" C='$A'", "B|x|C|$A" },
		{ "WORKDIR /a/$A", "/a/x" },
		{ "RUN echo $A '", "echo $A '" },
		{ "CMD echo $A", "echo $A" },
		{ "LABEL \"k$A\"=v", "kx|v" },
		{ "ARG Z=${A}1 Y", "Z|x1|Y|(null)" },
		{ "LIMIT memory ${M:-64m}", "memory|64m" },
		{ "ONBUILD RUN $A", "" },
	};
	struct scope_build b = SCOPE_BUILD_INIT;
	struct scope_stage s = SCOPE_STAGE_INIT(&b);
	struct subst_lookup lookup = scope_stage_lookup(&s);
	struct err e = ERR_INIT;

	assert_int_equal(scope_env(&s, "A", "x", &e), 0);
	assert_int_equal(scope_env(&s, "PORTS", "80 443", &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
		AUTO_FINI(potfile_step) struct potfile_step out = { 0 };
		AUTO_FINI(buf) struct buf words = BUF_INIT(4096);
		struct potfile_step *st = one(&pf, rows[i].line);

		if (potfile_expand(&pf, st, &lookup, &out, NULL, &e) < 0)
			fail_msg("%s: %s", rows[i].line, e.msg);
		for (size_t j = 0; j < out.nwords; j++)
			buf_fmt(&words, "%s%s", j > 0 ? "|" : "",
			    out.words[j].text != NULL ? out.words[j].text : "(null)");
		if (strcmp(buf_cstr(&words), rows[i].words) != 0)
			fail_msg("%s: %s", rows[i].line, buf_cstr(&words));
	}
	scope_stage_fini(&s);
	scope_build_fini(&b);
}

static void
values(void **state)
{
	AUTO_FINI(potfile_mount) struct potfile_mount m = { 0 };
	AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
	struct potfile_health h;
	struct err e = ERR_INIT;
	int64_t ms;

	assert_int_equal(
	    potfile_mount_parse("type=cache,target=/c,id=x,sharing=locked,mode=0700,uid=3,ro", &m, &e), 0);
	assert_int_equal(m.type, POTFILE_MOUNT_CACHE);
	assert_int_equal(m.sharing, POTFILE_LOCKED);
	assert_int_equal(m.mode, 0700);
	assert_false(m.rw);
	potfile_mount_fini(&m);
	assert_int_equal(potfile_mount_parse("type=secret,id=k,required,env=KEY", &m, &e), 0);
	assert_true(m.required);
	assert_string_equal(m.env, "KEY");
	assert_int_equal(potfile_health(one(&pf, "HEALTHCHECK --interval=1m --retries=0 CMD x"), &h, &e), 0);
	assert_int_equal(h.interval_ms, 60000);
	assert_int_equal(h.timeout_ms, 30000);
	assert_int_equal(h.retries, 3);
	assert_int_equal(potfile_duration_parse("1h1.5s", &ms, &e), 0);
	assert_int_equal(ms, 3601500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instructions),
		cmocka_unit_test(refused),
		cmocka_unit_test(excerpts),
		cmocka_unit_test(directives),
		cmocka_unit_test(heredocs),
		cmocka_unit_test(stages),
		cmocka_unit_test(bad_stages),
		cmocka_unit_test(expanded),
		cmocka_unit_test(values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
