/* Configuration of the Nomad agent: whatever comes, a tree that can be read, or an error. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "nomad/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
read_all(const struct value *v, unsigned depth)
{
	if (depth > VALUE_MAX_DEPTH)
		abort();
	if (v->type == VALUE_STRING && v->s[v->len] != '\0')
		abort();
	for (size_t i = 0; v->type == VALUE_LIST && i < v->n; i++)
		read_all(&v->list[i], depth + 1);
	for (size_t i = 0; v->type == VALUE_MAP && i < v->n; i++)
		read_all(&v->map[i].value, depth + 1);
}

static void
read_key(const struct value *root, const char *key)
{
	AUTO_FINI(strv) struct strv list = STRV_INIT(1000);
	const struct value *block = NULL;
	const char *text = NULL;
	struct err e = ERR_INIT;
	int64_t n = 7;
	bool b;

	if (value_string(root, key, &text, "config", &e) > 0 && text == NULL)
		abort();
	if (value_int(root, key, -5, 5, &n, "config", &e) > 0 && (n < -5 || n > 5))
		abort();
	if (value_bool(root, key, &b, "config", &e) < 0 && e.msg[0] == '\0')
		abort();
	if (value_strings(root, key, &list, "config", &e) < 0 && e.msg[0] == '\0')
		abort();
	if (value_map(root, key, &list, "config", &e) < 0 && e.msg[0] == '\0')
		abort();
	if (value_block(root, key, &block, "config", &e) > 0 && block->type != VALUE_MAP)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(value) struct value *root = NULL;
	struct err e = ERR_INIT;

	if (value_decode(data, size, &root, "config", &e) < 0)
		return e.msg[0] == '\0' ? abort(), 0 : 0;
	if (root->type != VALUE_MAP)
		abort();
	read_all(root, 0);
	for (size_t i = 0; i < root->n && i < 8; i++)
		read_key(root, root->map[i].key);
	read_key(root, "absent");
	return 0;
}
