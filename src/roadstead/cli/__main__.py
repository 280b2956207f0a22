from roadstead.cli import main

main()
