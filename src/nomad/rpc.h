/* The methods, by the service that they belong to: what stands in the table in rpc.c. */
#ifndef NOMAD_RPC_H
#define NOMAD_RPC_H

struct call;

/* rpc_plugin.c */
void rpc_health_check(struct call *, const void *);
void rpc_broker(struct call *, const void *);
void rpc_broker_closed(struct call *);
void rpc_stdio(struct call *, const void *);
void rpc_controller_shutdown(struct call *, const void *);
/* rpc_base.c */
void rpc_plugin_info(struct call *, const void *);
void rpc_config_schema(struct call *, const void *);
void rpc_set_config(struct call *, const void *);
/* rpc_driver.c */
void rpc_init(struct call *, const void *);
void rpc_task_config_schema(struct call *, const void *);
void rpc_capabilities(struct call *, const void *);
void rpc_fingerprint(struct call *, const void *);
void rpc_task_events(struct call *, const void *);
void rpc_shutdown(struct call *, const void *);
void rpc_create_network(struct call *, const void *);
void rpc_destroy_network(struct call *, const void *);
/* rpc_task.c */
void rpc_recover_task(struct call *, const void *);
void rpc_start_task(struct call *, const void *);
void rpc_wait_task(struct call *, const void *);
void rpc_stop_task(struct call *, const void *);
void rpc_destroy_task(struct call *, const void *);
void rpc_inspect_task(struct call *, const void *);
void rpc_task_stats(struct call *, const void *);
void rpc_signal_task(struct call *, const void *);
/* rpc_exec.c */
void rpc_exec_task(struct call *, const void *);
void rpc_exec_streaming(struct call *, const void *);
void rpc_exec_streaming_closed(struct call *);

#endif
