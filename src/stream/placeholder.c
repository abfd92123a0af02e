int takt_stream_placeholder; 
