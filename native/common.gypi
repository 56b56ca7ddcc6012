# What node-gyp needs of node's own common.gypi: that there is one configuration, and its optimisation flags.
# The headers come from the package node-api-headers, so the addon builds wherever node was installed from.
{
  "target_defaults": {
    "default_configuration": "Release",
    "configurations": {
      "Release": {"cflags": ["-O3"], "defines": ["NDEBUG"]},
    },
  },
}
