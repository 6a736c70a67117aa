/*
 * Nomad's own groups of processes. On Linux with the hierarchies of cgroup v1 an agent has a group for each task below
 * /nomad of the freezer, and looks for the task's processes there; pots have theirs elsewhere. All of this is for
 * that hierarchy only, where pots have no group of their own in it, and does nothing on other hosts.
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
