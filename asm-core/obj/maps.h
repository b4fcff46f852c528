/* maps.h - the map definitions of .maps; a part of eb_object_index. */
#ifndef EB_MAPS_H
#define EB_MAPS_H

#include "object.h"

/* Fill obj->maps. Returns 0 or EBPF_E_INPUT with diagnostics. */
void eb_maps_index(ebpf_object *obj);

#endif
