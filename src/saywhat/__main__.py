from saywhat.cli import main

main()
