int takt_sync_placeholder;
