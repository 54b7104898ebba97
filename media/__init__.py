"""Audio outside pjsua2: desk cards (WebRTC), patches, jitter buffers, speech, the vault worker, and the control protocol.

`media.control` holds the messages between the exchange and every card; `media.patch` the audio socket between cards. This
room imports no other.
"""
