/* There are no such groups here. */
#include "nomad/agent_group.h"

void
agent_group_take(struct pot_ctx *ctx, const char *pot, const char *task_id)
{
	(void)ctx;
	(void)pot;
	(void)task_id;
}

void
agent_group_enter(const char *task_id)
{
	(void)task_id;
}

void
agent_group_remove(const char *task_id)
{
	(void)task_id;
}
