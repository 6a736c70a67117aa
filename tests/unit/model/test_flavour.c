/* Flavours: command files in their classic form, descriptions, names with arguments. */
#include "expect.h"
#include "model/flavour.h"

static void
commands(void **state)
{
	AUTO_FINI(flavour_commands) struct flavour_commands fc = FLAVOUR_COMMANDS_INIT;
	struct err e = ERR_INIT;
	size_t pos = 0;
	const char text[] =
	    "# a comment\n\n  add-dep -P db\nset-attribute -A start-at-boot -V YES\ncopy-in -s a -d /b\n"
	    "copy-in-flv -s nginx.conf -d /etc/nginx.conf\nmount-in -d /srv -m /srv -r\nset-rss -M 64M -C 2\n"
	    "export-ports -e 80:8080 -e udp:53\nset-cmd -c sh -c 'a  b' # c\r\nset-env -E \"A=b c\" -E D=e\n";

	if (flavour_commands_parse(&fc, text, strlen(text), NULL, "f", &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(fc.n, 9);
	assert_int_equal(fc.v[0].number, 3);
	assert_string_equal(flavour_op_name(fc.v[0].op), "add-dep");
	assert_string_equal(flavour_option(&fc.v[4], 'r', &pos), "");
	pos = 0;
	assert_string_equal(flavour_option(&fc.v[6], 'e', &pos), "80:8080");
	assert_string_equal(flavour_option(&fc.v[6], 'e', &pos), "udp:53");
	assert_null(flavour_option(&fc.v[6], 'e', &pos));
	pos = 0;
	assert_string_equal(flavour_option(&fc.v[7], 'c', &pos), "sh -c 'a  b' # c");
	pos = 0;
	assert_string_equal(flavour_option(&fc.v[8], 'E', &pos), "A=b c");
}

static void
bad_commands(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "\nset-attr -A x -V y", "f:2:1: 'set-attr' is no command" },
		{ "pkg install x", "no command of a flavour" },
		{ "add-dep", "needs -P" },
		{ "add-dep -P", "-P needs a value" },
		{ "add-dep -P a -P b", "a second time" },
		{ "add-dep x", "belongs to no option" },
		{ "add-dep -q", "no option -q" },
		{ "add-dep -P a/b", "f:1:1: " },
		{ "set-cmd sh", "needs -c" },
		{ "set-cmd -c", "needs -c" },
		{ "mount-in -m /x", "exactly one" },
		{ "mount-in -m /x -d /a -z b", "exactly one" },
		{ "mount-in -m / -d /a", "mounted on /" },
		{ "mount-in -m /x -d /a -rw", "exclude each other" },
		{ "copy-in -s a -d b", "not an absolute path" },
		{ "set-rss", "needs -C or -M" },
		{ "set-rss -M x", "f:1:1: " },
		{ "export-ports -e x", "f:1:1: " },
		{ "set-env -E x", "f:1:1: " },
		{ "set-attribute -A start-at-boot -V maybe", "f:1:1: " },
		{ "set-env -E 'x", "quote" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct flavour_commands fc;
		struct err e = ERR_INIT;

		expect_err(flavour_commands_parse(&fc, rows[i].text, strlen(rows[i].text), NULL, "f", &e),
		    E_INVAL, rows[i].why);
		assert_int_equal(fc.n, 0);
	}
}

static void
parameters(void **state)
{
	AUTO_FINI(flavour_commands) struct flavour_commands fc = FLAVOUR_COMMANDS_INIT;
	AUTO_FINI(strv) struct strv args = STRV_INIT(8);
	struct err e = ERR_INIT;
	size_t pos = 0;
	const char text[] =
	    "export-ports -e ${port}:${host}\nset-env -E A=${words} -E \"B='${words}' ${HOME} ${open\"\n"
	    "set-cmd -c sh -c 'serve ${port} ${HOME}'\n",
		   bad[] = "set-cmd -c serve ${words}";

	strv_add(&args, "port=80");
	strv_add(&args, "host=8080");
	strv_add(&args, "words=a -E \"b");
	if (flavour_commands_parse(&fc, text, strlen(text), &args, "f", &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(fc.n, 3);
	assert_string_equal(flavour_option(&fc.v[0], 'e', &pos), "80:8080");
	pos = 0;
	assert_string_equal(flavour_option(&fc.v[1], 'E', &pos), "A=a -E \"b");
	assert_string_equal(flavour_option(&fc.v[1], 'E', &pos), "B='a -E \"b' ${HOME} ${open");
	assert_null(flavour_option(&fc.v[1], 'E', &pos));
	pos = 0;
	assert_string_equal(flavour_option(&fc.v[2], 'c', &pos), "sh -c 'serve 80 ${HOME}'");
	flavour_commands_fini(&fc);
	expect_err(flavour_commands_parse(&fc, bad, strlen(bad), &args, "f", &e), E_INVAL,
	    "f:1:1: the value of 'words' cannot stand");
}

static void
flavour_args(void **state)
{
	static const char *const bad[] = { "", "a", "a=b", ".b=c", "a.=c", "a=b.c" };
	char *name, *key;
	const char *value;
	struct err e = ERR_INIT;

	assert_int_equal(flavour_arg_parse("a.sh.b=c.d=e", &name, &key, &value, &e), 0);
	assert_string_equal(name, "a.sh");
	assert_string_equal(key, "b");
	assert_string_equal(value, "c.d=e");
	free(name);
	free(key);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_err(flavour_arg_parse(bad[i], &name, &key, &value, &e), E_INVAL, "not FLAVOUR.");
}

static const char meta_text[] =
    "title=nginx\nversion=1\nsystems=linux\nflavour=update\nflavour=base?x=1\nparameter=port\nparameter.port."
    "default=80\n"
    "parameter=host\nparameter.host.required=yes\nparameter.host.description=Its name\n";

static void
arguments(void **state)
{
	AUTO_FINI(flavour_meta) struct flavour_meta m = { 0 };
	AUTO_FINI(strv) struct strv v = STRV_INIT(16);
	AUTO_FINI(flavour_ref) struct flavour_ref r = FLAVOUR_REF_INIT;
	struct err e = ERR_INIT;

	if (flavour_meta_parse(&m, meta_text, strlen(meta_text), "f", &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(m.on_linux && !m.on_freebsd);
	assert_string_equal(m.description, "");
	assert_int_equal(m.nneeds, 2);
	assert_string_equal(m.needs[1], "base?x=1");
	assert_int_equal(flavour_ref_parse(&r, "d/nginx?host=a%20b%26", &e), 0);
	assert_string_equal(r.name, "d/nginx");
	assert_int_equal(flavour_arguments(&m, &r, &v, &e), 0);
	assert_int_equal(v.n, 2);
	assert_string_equal(v.v[0], "port=80");
	assert_string_equal(v.v[1], "host=a b&");
	flavour_ref_fini(&r);
	assert_int_equal(flavour_ref_parse(&r, "nginx", &e), 0);
	expect_err(flavour_arguments(&m, &r, &v, &e), E_INVAL, "'host' is needed");
	flavour_ref_fini(&r);
	assert_int_equal(flavour_ref_parse(&r, "nginx?prt=1", &e), 0);
	expect_err(flavour_arguments(&m, &r, &v, &e), E_INVAL, "no parameter 'prt'");
	expect_hint("port");
}

static void
bad_meta(void **state)
{
	static const char *const metas[] = { "", "title=", "title=a\ntitle=b", "title=a\nsystems=dos",
		"title=a\nsystems=", "title=a\nflavour=", "title=a\nflavour=x?", "title=a\nfoo=b",
		"title=a\nparameter=a-b", "title=a\nparameter=a\nparameter=a",
		"title=a\nparameter.x.default=1", "title=a\nparameter=x\nparameter.x.required=maybe",
		"title=a\nparameter=x\nparameter.x.required=yes\nparameter.x.default=1", "title" };
	static const char *const refs[] = { "", "?a=b", "x?", "x?a", "x?=b", "x?a=1&a=2", "x?a=%", "x?a=%0",
		"x?a=%00", "x?a-b=1" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(metas); i++) {
		struct flavour_meta m;

		if (flavour_meta_parse(&m, metas[i], strlen(metas[i]), "f", &e) != -E_INVAL)
			fail_msg("'%s' is taken", metas[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
		struct flavour_ref r;

		if (flavour_ref_parse(&r, refs[i], &e) != -E_INVAL)
			fail_msg("'%s' is taken", refs[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),
		cmocka_unit_test(bad_commands),
		cmocka_unit_test(parameters),
		cmocka_unit_test(flavour_args),
		cmocka_unit_test(arguments),
		cmocka_unit_test(bad_meta),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
