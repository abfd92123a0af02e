int takt_device_placeholder; 
