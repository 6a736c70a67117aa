/*
 * pot-nft: brings the text of rules on its standard input into the kernel, as
 * one transaction. A program of its own, because libnftables is large and slow to
 * load, and needed once per start of the machine: the programs of the hot path do
 * without it. Everything else about the filter is netlink (src/network/linux/nft.c).
 *
 * Exit status: 0 done, 1 not (what libnftables says is on stderr).
 */
#include <stdio.h>
#include <nftables/libnftables.h>

#include "base/buf.h"
#include "base/file.h"

#define INPUT_MAX (8 * 1024 * 1024)

static int
apply(const char *text)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	int rc;

	if (ctx == NULL) {
		fputs("pot-nft: libnftables cannot be used\n", stderr);
		return 1;
	}
	if (nft_ctx_buffer_error(ctx) != 0) {
		fputs("pot-nft: out of memory\n", stderr);
		nft_ctx_free(ctx);
		return 1;
	}
	rc = nft_run_cmd_from_buffer(ctx, text);
	if (rc != 0)
		fprintf(stderr, "%s", nft_ctx_get_error_buffer(ctx));
	nft_ctx_free(ctx);
	return rc == 0 ? 0 : 1;
}

int
main(void)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(INPUT_MAX);
	struct err e = ERR_INIT;

	if (fd_read_all(STDIN_FILENO, &text, &e) < 0 || buf_check(&text, "the rules", &e) < 0) {
		fprintf(stderr, "pot-nft: %s\n", e.msg);
		return 1;
	}
	return apply(buf_cstr(&text));
}
