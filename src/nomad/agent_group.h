/*
 * Nomad's own groups of processes. On Linux with hierarchies of cgroup v1 an agent has a group for each task below
 * /nomad of the freezer, and looks for the task's processes there. Where pots have no groups of their own in that
 * hierarchy, because v2 is there too, tasks are put into the agent's. Nothing is done on other hosts.
 */
#ifndef NOMAD_AGENT_GROUP_H
#define NOMAD_AGENT_GROUP_H

#include <pot.h>

/* Puts all processes of a pot that runs, and what they start, into the group of this task. */
void agent_group_take(struct pot_ctx *, const char *pot, const char *task_id);
/* Puts this process and what it starts there, if there is such a group. */
void agent_group_enter(const char *task_id);
/* The task's processes have ended. */
void agent_group_remove(const char *task_id);

#endif
