/*
 * Opening and closing a builder: the store, ROOT/build and a private
 * directory below it. What killed ones left is taken away here.
 */
#include "builder/builder.h"
