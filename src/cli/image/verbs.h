/* Inside of the program pot-image: what its verbs do. Their rows are in src/cli. */
#ifndef CLI_IMAGE_VERBS_H
#define CLI_IMAGE_VERBS_H

#include <pot/image.h>

#include "cli/cli.h"

typedef int image_run(struct cli *, const struct args *, struct err *);

image_run image_build;

image_run image_adopt, image_commit, image_create_base, image_flavours, image_history, image_image,
    image_images, image_inspect, image_import, image_export, image_prepare, image_list, image_load, image_rmi,
    image_save, image_tag, image_keygen, image_login, image_logout, image_pull, image_push, image_sign,
    image_verify;

/* With JSON: the reason by its kind too, as a line of its own. Returns rc. */
int tell_failure(struct cli *, int rc, const struct err *);
/* --stall: 0 when it is not there. */
int stall_arg(const struct args *, unsigned *seconds, struct err *) MUST_CHECK;
/* The options of REGISTRY_OPTS and the environment; *insecure is the caller's to free. */
int net_args(const struct args *, struct pot_net *, char ***insecure, struct err *) MUST_CHECK;

/* "sha256:0123456789ab": enough of a digest for people. */
void put_digest(struct table *, const char *digest);
json_t *js_text_or_null(const char *);
json_t *js_image(const struct pot_image_info *);

#endif
