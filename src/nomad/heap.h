/* Memory that one long message took goes back to the system afterwards. */
#ifndef NOMAD_HEAP_H
#define NOMAD_HEAP_H

void heap_set_up(void);

#endif
