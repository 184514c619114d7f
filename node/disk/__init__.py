"""Generated code: `scripts/proto` writes this room from proto/node/disk/. Never edit it by hand."""
